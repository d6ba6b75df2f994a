//! What the applier and the lab need of the kernel where nix and rtnetlink end.

pub mod devconf;
pub mod neighbour_table;
pub mod nft;
pub mod packet;
pub mod rtnl;
