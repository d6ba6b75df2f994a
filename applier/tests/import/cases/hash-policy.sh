# after verbatim/how-to-2001.sh two-lines.toml
echo 1 > /proc/sys/net/ipv4/fib_multipath_hash_policy
