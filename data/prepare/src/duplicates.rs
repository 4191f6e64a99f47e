//! Products that show the same thing: a hash of what a picture looks like, and groups of products
//! whose hashes nearly agree. Of one group, products are positives of each other and in one split.

mod groups;
mod miniature;
mod phash;

pub use groups::groups;
pub use phash::phash;
