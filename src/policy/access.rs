//! `allow` and `deny` by network: the grammar; deciding by it is not built yet.

use ipnet::IpNet;

use crate::base::yaml::At;

pub type Networks = Vec<At<IpNet>>;
