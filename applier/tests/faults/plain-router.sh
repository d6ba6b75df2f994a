# Somebody has one line and a tunnel's rule, forwards by one card only, keeps an old address on the card that is
# to be the second line's, and marks packets for a purpose of his own.
ip link set eth0 up
ip address add 192.0.2.1/24 brd + dev eth0
ip link set eth1 up
ip address add 198.51.100.2/24 brd + dev eth1
ip link set eth2 up
ip address add 203.0.113.77/24 brd + dev eth2
ip route add default via 198.51.100.1 dev eth1 proto dhcp metric 100
ip rule add prio 40 to 10.99.0.0/16 table 99
ip route add 10.99.0.0/16 via 192.0.2.9 table 99
echo 1 > /proc/sys/net/ipv4/ip_forward
ip link set eth3 up
echo 0 > /proc/sys/net/ipv4/conf/lo/forwarding
echo 0 > /proc/sys/net/ipv4/conf/eth2/forwarding
nft -f - <<'END'
table ip plain {
    chain postrouting {
        type nat hook postrouting priority srcnat
        oifname "eth1" ip saddr 192.0.2.0/24 masquerade
    }
    chain marks {
        type filter hook prerouting priority mangle
        meta mark set meta mark & 0xffffff00 | 0x00000042
    }
}
END
