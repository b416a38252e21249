//! What a store takes of the metadata file beside a document.

/// A metadata file that has more does not come into the index, and its document may not either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataLimits {
    /// The most bytes that the file may have.
    pub bytes: usize,
    /// The most attributes that it may name.
    pub attributes: usize,
}
