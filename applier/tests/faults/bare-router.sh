# Nothing is set but what writing `ip_forward` overwrites.
echo 0 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv4/conf/eth3/forwarding
echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects
