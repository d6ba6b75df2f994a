# As VyOS has it: a table per line, and nftables that deals out marks.
ip address add 192.168.1.1/24 brd + dev eth0
ip address add 198.51.100.2/24 brd + dev eth1
ip address add 203.0.113.2/24 brd + dev eth2
ip route add default via 198.51.100.1 dev eth1 table 201
ip route add default via 203.0.113.1 dev eth2 table 202
ip rule add prio 1001 fwmark 0xc9 table 201
ip rule add prio 1002 fwmark 0xca table 202
nft -f - <<'END'
table ip vyos_wanloadbalance {
    chain wlb_mangle_prerouting { type filter hook prerouting priority mangle
        iifname eth0 meta mark set numgen random mod 10 map { 0-6: 0xc9, 7-9: 0xca }
    }
    chain wlb_nat_postrouting { type nat hook postrouting priority srcnat
        oifname eth1 snat to 198.51.100.2
        oifname eth2 snat to 203.0.113.2
    }
}
END
