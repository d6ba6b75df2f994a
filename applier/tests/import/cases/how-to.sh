# after verbatim/how-to-2001.sh four-to-one.toml
