//! Names of nodes, tenures, epochs and pools.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One life of a gateway process: random, and new again when the process finds itself declared dead.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u128);

/// Where a UUID has its version.
const VERSION_AT: u32 = 76;
/// The version of those who write ahead: one's own, in the standard's words. Random ones are of version 4.
const WRITES_AHEAD: u128 = 8;

impl NodeId {
    /// Makes an id of random bits. `writes_ahead` says of every hold of this life that it is durable before it is
    /// acted on. It lies in the id, because others must still know it when the node is dead.
    pub fn new(random: u128, writes_ahead: bool) -> Self {
        let version = if writes_ahead { WRITES_AHEAD } else { 4 };
        Self((random & !(0xf << VERSION_AT)) | (version << VERSION_AT))
    }

    /// Returns whether the durable store knows of everything that this life may have spent.
    pub fn writes_ahead(self) -> bool {
        (self.0 >> VERSION_AT) & 0xf == WRITES_AHEAD
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a node holds of one pool, from one joining to the next. The durable store files spends and holds under it.
///
/// Tenures of one node count up; a later one of the same node ends those before it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Holder {
    /// The node.
    pub node: NodeId,
    /// Never used twice by one node for the same pool; at most 2⁵³ − 1.
    pub tenure: u64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.tenure)
    }
}

/// Numbers for the tenures of one process: one counter for all pools, so that no number comes twice.
#[derive(Clone, Debug, Default)]
pub struct Tenures(Arc<AtomicU64>);

impl Tenures {
    /// Returns the next number.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A text is no [`Holder`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a holder is 32 hexadecimal digits, a full stop and a number")]
pub struct HolderError;

impl FromStr for Holder {
    type Err = HolderError;

    fn from_str(text: &str) -> Result<Self, HolderError> {
        let (node, tenure) = text.split_once('.').ok_or(HolderError)?;
        if node.len() != 32 {
            return Err(HolderError);
        }
        let node = u128::from_str_radix(node, 16).map_err(|_not_hex| HolderError)?;
        Ok(Self { node: NodeId(node), tenure: tenure.parse().map_err(|_no_number| HolderError)? })
    }
}

/// How long Redis has remembered without a gap: a new one whenever it may have forgotten something.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Not heard of one yet.
    pub const UNKNOWN: Self = Self(0);
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One shared limit in one period. A reset in the middle of a period is a new period.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PoolId {
    /// Of the limit, any text.
    pub name: Arc<str>,
    /// Number of the period.
    pub period: i64,
}

impl PoolId {
    /// Names a pool.
    pub fn new(name: impl Into<Arc<str>>, period: i64) -> Self {
        Self { name: name.into(), period }
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.period, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_survives_its_text() {
        let holder = Holder { node: NodeId(0xabc), tenure: 7 };
        assert_eq!(holder.to_string().parse(), Ok(holder));
    }

    #[test]
    fn an_id_says_whether_its_node_writes_ahead() {
        for random in [0, 7, u128::MAX] {
            assert!(NodeId::new(random, true).writes_ahead());
            assert!(!NodeId::new(random, false).writes_ahead());
            // The script looks at this digit.
            assert_eq!(&NodeId::new(random, true).to_string()[12..13], "8");
        }
    }

    #[test]
    fn what_is_no_holder_is_refused() {
        for text in ["", "1.2", "0000000000000000000000000000000g.1", "00000000000000000000000000000001."] {
            assert_eq!(text.parse::<Holder>(), Err(HolderError), "{text}");
        }
    }
}
