//! How the matrices of a population lie in a device's memory: what the kernels with a population axis have in common.
//!
//! P networks of one shape train together; every buffer of theirs holds one part a member, and each kernel carries the
//! population as an axis of its grid. A member's numbers depend on its own part alone, in every bit.

use super::dropout::Dropout;
use super::gpu::{Address, Argument};

/// A matrix of f32 a member: row r of member p begins `p * member + r * row` numbers behind the address, and the numbers of a
/// row follow each other.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Where member 0's row 0 begins.
    pub address: Address,
    /// Numbers from one member to the next; 0 where all share one matrix.
    pub member: usize,
    /// Numbers from one row to the next.
    pub row: usize,
}

impl Rows {
    /// `rows` rows of `width` numbers a member, one after the other without gaps.
    pub fn dense(address: Address, rows: usize, width: usize) -> Rows {
        Rows { address, member: rows * width, row: width }
    }

    /// The three arguments by which a kernel is told: `float*`, `size_t member`, `size_t row`.
    pub(super) fn arguments(self) -> [Argument; 3] {
        [self.address.into(), (self.member as u64).into(), (self.row as u64).into()]
    }
}

/// Bytes of a member's dropout in a table: `struct Dropout` of `common.cuh`.
pub const DROPOUT_BYTES: usize = 16;

/// Where a kernel finds the dropout of its site: a table `[steps, P, sites]`, and which step this is.
#[derive(Clone, Copy, Debug)]
pub struct DropoutSite {
    /// Of the table; [`Address::NONE`] where nothing is dropped.
    pub table: Address,
    /// i32: which of the table's steps this is.
    pub step: Address,
    /// Sites of the network.
    pub sites: usize,
    /// Which of them this is.
    pub site: usize,
}

impl DropoutSite {
    /// Nothing is dropped.
    pub const NONE: DropoutSite =
        DropoutSite { table: Address::NONE, step: Address::NONE, sites: 0, site: 0 };

    /// The four arguments by which a kernel is told: `const Dropout* table, const int* step, int sites, int site`; see
    /// `dropout_of` of `common.cuh`.
    pub(super) fn arguments(self) -> [Argument; 4] {
        [self.table.into(), self.step.into(), self.sites.into(), self.site.into()]
    }
}

/// A member's dropout as its bytes in a table.
pub fn dropout_bytes(dropout: Option<Dropout>) -> [u8; DROPOUT_BYTES] {
    let mut bytes = [0; DROPOUT_BYTES];
    if let Some(dropout) = dropout {
        bytes[..8].copy_from_slice(&dropout.key.to_le_bytes());
        bytes[8..12].copy_from_slice(&u32::from(dropout.threshold).to_le_bytes());
        bytes[12..].copy_from_slice(&dropout.scale().to_le_bytes());
    }
    bytes
}
