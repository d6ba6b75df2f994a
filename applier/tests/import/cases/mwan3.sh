# What mwan3 leaves: tables 1 and 2, its rules for marks and for what comes in, netifd's default
# routes in main, and marks by iptables.
ip address add 192.168.1.1/24 brd + dev eth0
ip address add 198.51.100.2/24 brd + dev eth1
ip address add 100.64.3.2/24 brd + dev eth2 valid_lft 3600 preferred_lft 3600
ip route add default via 198.51.100.1 dev eth1 proto static src 198.51.100.2 metric 10
ip route add default via 100.64.3.1 dev eth2 proto static src 100.64.3.2 metric 20
ip route add default via 198.51.100.1 dev eth1 metric 10 table 1
ip route add default via 100.64.3.1 dev eth2 metric 20 table 2
ip rule add pref 1001 iif eth1 table 1
ip rule add pref 1002 iif eth2 table 2
ip rule add pref 2001 fwmark 0x100/0x3f00 table 1
ip rule add pref 2002 fwmark 0x200/0x3f00 table 2
ip rule add pref 2061 fwmark 0x3d00/0x3f00 blackhole
ip rule add pref 3001 fwmark 0x100/0x3f00 unreachable
export PATH=$PATH:/usr/sbin:/sbin
iptables -t mangle -N mwan3_policy_balanced
iptables -t mangle -A mwan3_policy_balanced -m mark --mark 0/0x3f00 \
    -m statistic --mode random --probability 0.4 -j MARK --set-xmark 0x200/0x3f00
iptables -t mangle -A mwan3_policy_balanced -m mark --mark 0/0x3f00 \
    -j MARK --set-xmark 0x100/0x3f00
iptables -t mangle -A PREROUTING -j mwan3_policy_balanced
iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE
iptables -t nat -A POSTROUTING -o eth2 -j MASQUERADE
