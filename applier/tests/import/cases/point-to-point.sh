# PPP and the like: nobody is asked by ARP.
ip link set eth2 arp off
ip address add 192.168.1.1/24 brd + dev eth0
ip address add 198.51.100.2/24 brd + dev eth1
ip address add 100.64.9.9 peer 100.64.0.1 dev eth2
ip route add default nexthop via 198.51.100.1 dev eth1 weight 3 nexthop dev eth2 weight 1
nft add table ip nat
nft add chain ip nat post '{ type nat hook postrouting priority srcnat; }'
nft add rule ip nat post ip saddr 192.168.1.0/24 masquerade
