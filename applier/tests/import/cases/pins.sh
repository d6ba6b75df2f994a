# after verbatim/how-to-2001.sh two-lines.toml
ip rule add prio 100 to 198.51.100.53 table 201
ip rule add prio 101 ipproto tcp dport 25 table 202
ip rule add prio 102 iif eth0 tos 0x10 table 202
