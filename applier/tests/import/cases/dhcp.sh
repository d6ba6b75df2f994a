ip address add 192.168.1.1/24 brd + dev eth0
ip address add 100.64.1.2/22 dev eth1 valid_lft 3600 preferred_lft 3600
ip route add default via 100.64.0.1 dev eth1 proto dhcp src 100.64.1.2 metric 1024
nft add table ip nat
nft add chain ip nat post '{ type nat hook postrouting priority srcnat; }'
nft add rule ip nat post oifname eth1 masquerade
