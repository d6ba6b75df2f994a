# after correct/nexthop-objects.sh two-lines.toml
# The kernel can be told not to say where a nexthop object leads.
echo 0 > /proc/sys/net/ipv4/nexthop_compat_mode
