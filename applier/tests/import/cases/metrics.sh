ip address add 192.168.1.1/24 brd + dev eth0
ip address add 100.64.1.2/22 dev eth1 valid_lft 3600 preferred_lft 3600
ip address add 100.65.1.2/22 dev eth2
ip address add 203.0.113.2/24 dev eth3
ip route add default via 100.64.0.1 dev eth1 proto dhcp src 100.64.1.2 metric 100
ip route add default via 100.65.0.1 dev eth2 proto dhcp src 100.65.1.2 metric 200
ip route add default via 203.0.113.1 dev eth3 proto static metric 300
nft -f - <<'END'
table inet router {
    chain srcnat { type nat hook postrouting priority srcnat
        ip saddr 192.168.1.0/24 oifname { eth1, eth2, eth3 } masquerade
    }
}
END
