//! Nodes, and the links from one to the next.

use alloy_primitives::B256;
use alloy_trie::Nibbles;

/// How a node appears in its parent: the RLP of its hash, or the node itself where it is shorter than a hash.
#[derive(Clone, Copy)]
pub(super) struct Reference {
    len: u8,
    bytes: [u8; 33],
}

impl Reference {
    /// No node, or a node that has to be hashed again.
    pub(super) const NONE: Self = Self { len: 0, bytes: [0; 33] };
    const HASH_PREFIX: u8 = 0x80 + 32;

    pub(super) fn hash(hash: B256) -> Self {
        let mut bytes = [Self::HASH_PREFIX; 33];
        bytes[1..].copy_from_slice(hash.as_slice());
        Self { len: 33, bytes }
    }

    /// A reference as read from a node: a 32-byte string, or a list of less than 32 bytes.
    pub(super) fn from_rlp(rlp: &[u8]) -> Option<Self> {
        let is_hash = rlp.len() == 33 && rlp[0] == Self::HASH_PREFIX;
        let is_inline = (1..32).contains(&rlp.len()) && rlp[0] >= 0xc0;
        (is_hash || is_inline).then(|| Self::copy(rlp))
    }

    /// The node's own RLP, which must be shorter than a hash.
    pub(super) fn inline(rlp: &[u8]) -> Self {
        debug_assert!(rlp.len() < 32);
        Self::copy(rlp)
    }

    fn copy(rlp: &[u8]) -> Self {
        let mut bytes = [0; 33];
        bytes[..rlp.len()].copy_from_slice(rlp);
        Self { len: rlp.len() as u8, bytes }
    }

    pub(super) fn is_none(&self) -> bool {
        self.len == 0
    }

    pub(super) fn as_hash(&self) -> Option<B256> {
        (self.len == 33).then(|| B256::from_slice(&self.bytes[1..]))
    }

    pub(super) fn as_rlp(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The place of a node in its parent. Empty, or unloaded (a reference without a node), or loaded.
pub(super) struct Link {
    pub(super) node: Option<Node>,
    /// Stays [`Reference::NONE`] from a change until the next hash.
    pub(super) reference: Reference,
    /// The node, or one below it, changed since the updates were last taken.
    pub(super) dirty: bool,
    /// A node is stored under this link's path (as of the updates last taken).
    pub(super) stored: bool,
}

impl Link {
    pub(super) const EMPTY: Self = Self { node: None, reference: Reference::NONE, dirty: false, stored: false };

    pub(super) fn new(node: Node) -> Self {
        Self { node: Some(node), dirty: true, ..Self::EMPTY }
    }

    /// A link to a node that is known only by its reference.
    pub(super) fn unloaded(reference: Reference) -> Self {
        Self { reference, stored: reference.as_hash().is_some(), ..Self::EMPTY }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.node.is_none() && self.reference.is_none()
    }

    /// Notes that the node or one below it changed.
    pub(super) fn touch(&mut self) {
        self.reference = Reference::NONE;
        self.dirty = true;
    }
}

/// A loaded node.
pub(super) enum Node {
    Leaf(Box<Leaf>),
    Extension(Box<Extension>),
    Branch(Box<Branch>),
}

impl Node {
    pub(super) fn leaf(key: Nibbles, value: Vec<u8>) -> Self {
        Self::Leaf(Box::new(Leaf { key, value }))
    }

    pub(super) fn extension(key: Nibbles, child: Link) -> Self {
        Self::Extension(Box::new(Extension { key, child }))
    }

    /// The child for a nibble; an extension has only one.
    pub(super) fn child_mut(&mut self, nibble: u8) -> Option<&mut Link> {
        match self {
            Self::Leaf(_) => None,
            Self::Extension(extension) => Some(&mut extension.child),
            Self::Branch(branch) => branch.child_mut(nibble),
        }
    }

    /// The links to the nodes below, with the part of the path that leads to each.
    pub(super) fn for_each_child<E>(
        &mut self,
        mut visit: impl FnMut(&mut Link, Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Leaf(_) => Ok(()),
            Self::Extension(extension) => visit(&mut extension.child, Step::Nibbles(&extension.key)),
            Self::Branch(branch) => {
                let mask = branch.mask;
                let nibbles = (0..16u8).filter(|nibble| mask & (1 << nibble) != 0);
                branch
                    .children
                    .iter_mut()
                    .zip(nibbles)
                    .try_for_each(|(child, nibble)| visit(child, Step::Nibble(nibble)))
            }
        }
    }
}

/// What a link adds to the path of the node that holds it.
pub(super) enum Step<'a> {
    Nibble(u8),
    Nibbles(&'a Nibbles),
}

impl Step<'_> {
    pub(super) fn after(&self, path: &Nibbles) -> Nibbles {
        match self {
            Self::Nibble(nibble) => child_path(path, *nibble),
            Self::Nibbles(nibbles) => path.join(nibbles),
        }
    }
}

/// `path` and one nibble more.
pub(super) fn child_path(path: &Nibbles, nibble: u8) -> Nibbles {
    let mut path = *path;
    path.push(nibble);
    path
}

/// The end of a path, and its value.
pub(super) struct Leaf {
    /// The nibbles left of the key.
    pub(super) key: Nibbles,
    pub(super) value: Vec<u8>,
}

/// A stretch of path that all keys below share. Its child is always a branch.
pub(super) struct Extension {
    pub(super) key: Nibbles,
    pub(super) child: Link,
}

/// A fork: at least two of sixteen children and a value.
pub(super) struct Branch {
    /// Bit n is set where there is a child for nibble n.
    mask: u16,
    /// The children that exist, in order: most branches near the leaves have two or three.
    children: Vec<Link>,
    /// The value of the key that ends here; empty where none does. Keys of one length, as in the state, never do.
    pub(super) value: Vec<u8>,
}

impl Branch {
    fn has(&self, nibble: u8) -> bool {
        self.mask & (1 << nibble) != 0
    }

    fn index(&self, nibble: u8) -> usize {
        (self.mask & ((1 << nibble) - 1)).count_ones() as usize
    }

    pub(super) fn child(&self, nibble: u8) -> Option<&Link> {
        self.has(nibble).then(|| &self.children[self.index(nibble)])
    }

    pub(super) fn child_mut(&mut self, nibble: u8) -> Option<&mut Link> {
        let index = self.index(nibble);
        self.has(nibble).then(|| &mut self.children[index])
    }

    /// A branch with no children yet, and room for exactly this many.
    pub(super) fn with_room(children: usize, value: Vec<u8>) -> Self {
        Self { mask: 0, children: Vec::with_capacity(children), value }
    }

    /// Puts a child where there is none yet.
    pub(super) fn put(&mut self, nibble: u8, child: Link) {
        debug_assert!(!self.has(nibble));
        let index = self.index(nibble);
        self.children.reserve_exact(1);
        self.children.insert(index, child);
        self.mask |= 1 << nibble;
    }

    pub(super) fn take(&mut self, nibble: u8) -> Link {
        let index = self.index(nibble);
        self.mask &= !(1 << nibble);
        self.children.remove(index)
    }

    /// The nibble of the first child.
    pub(super) fn first(&self) -> Option<u8> {
        (self.mask != 0).then(|| self.mask.trailing_zeros() as u8)
    }

    /// Children, and the value as one more.
    pub(super) fn len(&self) -> usize {
        self.children.len() + usize::from(!self.value.is_empty())
    }
}
