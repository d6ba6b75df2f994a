# after verbatim/how-to-2001-masquerade.sh two-lines.toml
