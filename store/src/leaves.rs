//! Leaves of a trie, hashed in the order of their keys however many there are: what does not fit into memory is sorted
//! in parts, in files without a name.

use alloy_primitives::B256;
use alloy_trie::{HashBuilder, Nibbles};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Leaves kept in memory, about 16 MiB: few enough that sorting and writing them takes some tens of milliseconds, many
/// enough that ten million accounts are a hundred files.
const IN_MEMORY: usize = 100_000;

type Leaf = (B256, Vec<u8>);

/// Leaves that wait to be hashed.
#[derive(Debug)]
pub(crate) struct Leaves {
    folder: PathBuf,
    limit: usize,
    sorted: Vec<Leaf>,
    parts: Vec<File>,
}

impl Leaves {
    /// None yet; what does not fit into memory goes to files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with_limit(folder, IN_MEMORY)
    }

    fn with_limit(folder: &Path, limit: usize) -> Self {
        Self { folder: folder.to_owned(), limit, sorted: Vec::new(), parts: Vec::new() }
    }

    /// Adds a leaf, at most 255 bytes long: an account has at most 110, a slot 33. Keys come in any order.
    pub(crate) fn add(&mut self, key: B256, value: Vec<u8>) -> io::Result<()> {
        self.sorted.push((key, value));
        if self.sorted.len() < self.limit {
            return Ok(());
        }
        self.sorted.sort_unstable();
        let part = write_part(&self.folder, &self.sorted)?;
        self.parts.push(part);
        self.sorted.clear();
        Ok(())
    }

    /// The root of the trie that these leaves make.
    pub(crate) fn root(mut self) -> io::Result<B256> {
        self.sorted.sort_unstable();
        let mut builder = HashBuilder::default();
        if self.parts.is_empty() {
            self.sorted.iter().for_each(|(key, value)| builder.add_leaf(Nibbles::unpack(key), value));
            return Ok(builder.root());
        }
        let mut parts: Vec<_> = self.parts.into_iter().map(BufReader::new).collect();
        let mut rest = self.sorted.into_iter();
        let mut heads = BinaryHeap::new();
        let last = parts.len();
        for (number, part) in parts.iter_mut().enumerate() {
            heads.extend(read_leaf(part)?.map(|leaf| Reverse((leaf, number))));
        }
        heads.extend(rest.next().map(|leaf| Reverse((leaf, last))));
        while let Some(Reverse(((key, value), number))) = heads.pop() {
            builder.add_leaf(Nibbles::unpack(key), &value);
            let next = match parts.get_mut(number) {
                Some(part) => read_leaf(part)?,
                None => rest.next(),
            };
            heads.extend(next.map(|leaf| Reverse((leaf, number))));
        }
        Ok(builder.root())
    }
}

/// A file that is gone when it is closed.
fn write_part(folder: &Path, leaves: &[Leaf]) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("leaves-{}-{number}.tmp", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    fs::remove_file(&path)?;
    let mut writer = BufWriter::new(file);
    for (key, value) in leaves {
        let length = u8::try_from(value.len()).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
        writer.write_all(key.as_slice())?;
        writer.write_all(&[length])?;
        writer.write_all(value)?;
    }
    let mut file = writer.into_inner()?;
    file.rewind()?;
    Ok(file)
}

fn read_leaf(part: &mut BufReader<File>) -> io::Result<Option<Leaf>> {
    let mut head = [0; 33];
    match part.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut value = vec![0; usize::from(head[32])];
    part.read_exact(&mut value)?;
    Ok(Some((B256::from_slice(&head[..32]), value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_chain::keccak256;

    #[test]
    fn leaves_sorted_in_files_have_the_root_of_those_sorted_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0u64, 1, 2, 10, 11, 95] {
            let root = |limit| {
                let mut leaves = Leaves::with_limit(folder.path(), limit);
                for number in 0..count {
                    let value = vec![number as u8 + 1; 1 + number as usize % 255];
                    leaves.add(keccak256(number.to_be_bytes()), value).unwrap();
                }
                leaves.root().unwrap()
            };
            assert_eq!(root(10), root(1_000), "{count} leaves");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
