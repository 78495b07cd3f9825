//! The chains of both tables, in nftables' own words. What is between two at signs is filled in.

/// What only the host may say on a network: whose a router's address is, and that somebody is about to take it.
pub(super) const AS_A_ROUTER_OR_SERVER: &str = "  chain not_by_advert {
    icmpv6 type nd-neighbor-advert drop
    ip6 saddr :: icmpv6 type nd-neighbor-solicit drop
  }
";

/// What a guest may send, by what it sends. A guest that has no address yet asks for one, and in nobody's name
/// but its own: a DHCP server goes by the hardware address in the question (RFC 2131, `chaddr`, 28 bytes into
/// it), not by the frame's. A question in fragments would show it to nobody but the server.
///
/// Nothing at a fixed place in a question by DHCPv6 says who asks. A server goes by the hardware address behind
/// the address that the question came from, one of the link: the one that the kernel derives from a guest's
/// hardware address is that guest's alone, to send from and to claim. Any other a guest may have made up itself.
pub(super) const FROM_A_GUEST: &str = "  chain claim {
    iifname . @th,64,128 @announced6 return
    @th,64,128 @derived6_claimed drop
    @th,64,10 0x3fa return
    drop
  }
  chain packet4 {
    udp sport 67 drop
    udp dport 67 ip frag-off & 0x3fff != 0 drop
    udp dport 67 iifname . @th,288,48 != @clients drop
    iifname @free accept
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    iifname . ip saddr @sources4 accept
    drop
  }
  chain packet6 {
    icmpv6 type { nd-router-advert, nd-redirect } drop
    udp sport 547 drop
@ROUTERS@
    iifname @free accept
    icmpv6 type nd-neighbor-advert jump claim
    ip6 saddr :: icmpv6 type nd-neighbor-solicit jump claim
    ip6 saddr :: icmpv6 type { nd-router-solicit, nd-neighbor-solicit, mld-listener-report, mld2-listener-report } accept
    iifname . ip6 saddr @sources6 accept
    ip6 saddr @derived6 drop
    ip6 saddr fe80::/10 accept
    drop
  }
  chain arp4 {
    iifname . arp saddr ether != @macs drop
    iifname @free accept
    arp saddr ip 0.0.0.0 accept
    iifname . arp saddr ip @sources4 accept
    drop
  }
";

/// Frames other than of IP are of no use to a guest, and those with a VLAN's tag would leave its segment. What a
/// guest asks by DHCPv6 is addressed to all, and no other guest hears it: who knows the identifiers in it could
/// give its lease back.
pub(super) const OF_A_TAP: &str = "  chain guest {
    iifname . ether saddr != @macs drop
@LIMITED@
    ether type vmap { ip : jump packet4, ip6 : jump packet6, arp : jump arp4 }
    drop
  }
  chain prerouting {
    type filter hook prerouting priority -300
    iifname @taps goto guest
  }
  chain forward {
    type filter hook forward priority -300
    udp dport 547 oifname @taps drop
  }
";

/// Ports of one address of the host come before those of all.
pub(super) const PUBLISHED: &str = "  chain published {
    dnat ip to ip daddr . meta l4proto . th dport map @published4_of
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6_of
    dnat ip to meta l4proto . th dport map @published4
    dnat ip6 to meta l4proto . th dport map @published6
  }
";

/// What leaves for the outside, and what comes back into the network that it came from, goes under the
/// host's address; so does what comes from the host's loopback, where no answer could go.
pub(super) const TRANSLATION: &str = "  chain prerouting {
    type nat hook prerouting priority dstnat
@METADATA@
    fib daddr type local jump published
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr 127.0.0.0/8 oifname @inside masquerade
    ip saddr @translated4 oifname != @inside masquerade
    ip6 saddr @translated6 oifname != @inside masquerade
    ct status dnat ip saddr @own4 oifname @inside masquerade
    ct status dnat ip6 saddr @own6 oifname @inside masquerade
    ct status dnat ip daddr @elsewhere4 masquerade
    ct status dnat ip6 daddr @elsewhere6 masquerade
  }
";

/// `::1` is left to the host's own programs. IPv6 has no `route_localnet`: what went out from there to a guest
/// would be answered, and the kernel would drop the answer. So whoever tries `localhost` hears at once that nobody is
/// there, and tries 127.0.0.1 next.
pub(super) const FROM_THE_HOST_ITSELF: &str = "  chain published_here {
    type nat hook output priority -100
    ip6 daddr ::1 accept
    fib daddr type local jump published
  }
";

/// The first rule of each chain lets pass what is no business of these networks, but for others' requests to the
/// metadata service. A guest is never told of a shorter way to another: the one by the host is the one on which
/// addresses are translated and isolated guests kept apart, and the kernel tells of others before it asks the firewall.
pub(super) const FILTER: &str = "  chain forward {
    type filter hook forward priority filter
    iifname != @bridges oifname != @bridges accept
    ct state established,related accept
    ct status dnat accept
    iifname . oifname @within accept
    ip daddr 169.254.0.0/16 reject with icmp admin-prohibited
    iifname @bridges oifname != @bridges accept
    oifname @routed iifname != @bridges accept
    iifname @bridges reject with icmpx admin-prohibited
    drop
  }
  chain input {
    type filter hook input priority filter
@METADATA@
    iifname != @bridges accept
    ct state established,related accept
    ct status dnat accept
    ip daddr 127.0.0.0/8 drop
    meta l4proto { 1, 58 } accept
    udp dport { 67, 547 } accept
    ip daddr @routers4 meta l4proto { tcp, udp } th dport 53 accept
    ip6 daddr @routers6 meta l4proto { tcp, udp } th dport 53 accept
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
  chain output {
    type filter hook output priority filter
    oifname @bridges icmp type redirect drop
    oifname @bridges icmpv6 type nd-redirect drop
  }
";
