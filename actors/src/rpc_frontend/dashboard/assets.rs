//! The files of the dashboard, in the binary. A macro of the language does it: a crate for a folder of a dozen small files
//! would bring more code than they have.

use callboard_chain::keccak256;
use std::sync::OnceLock;

/// A file of the dashboard.
pub(super) struct Asset {
    pub(super) name: &'static str,
    pub(super) media_type: &'static str,
    pub(super) body: &'static str,
    tag: OnceLock<String>,
}

macro_rules! asset {
    ($name:literal, $media_type:expr) => {
        Asset { name: $name, media_type: $media_type, body: include_str!($name), tag: OnceLock::new() }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// The page itself.
pub(super) static PAGE: Asset = asset!("index.html", HTML);

/// What the page loads.
pub(super) static ASSETS: [Asset; 18] = [
    asset!("actor_map.js", SCRIPT),
    asset!("actor_table.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("details.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("feed.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("icon.svg", PICTURE),
    asset!("layout.js", SCRIPT),
    asset!("main.js", SCRIPT),
    asset!("overview.js", SCRIPT),
    asset!("page_address.js", SCRIPT),
    asset!("page_block.js", SCRIPT),
    asset!("page_transaction.js", SCRIPT),
    asset!("panels.js", SCRIPT),
    asset!("search.js", SCRIPT),
    asset!("style.css", STYLE),
    asset!("theme.js", SCRIPT),
];

impl Asset {
    /// Names this content, and no other.
    pub(super) fn tag(&self) -> String {
        let tag = || keccak256(self.body).to_string().chars().skip(2).take(16).collect();
        self.tag.get_or_init(tag).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_folder_is_served_and_tags_tell_them_apart() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rpc_frontend/dashboard");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let files: BTreeSet<String> = files.filter(|name| !name.ends_with(".rs")).collect();
        let served: Vec<&Asset> = ASSETS.iter().chain([&PAGE]).collect();
        assert_eq!(served.iter().map(|asset| asset.name.to_owned()).collect::<BTreeSet<_>>(), files);
        assert_eq!(served.iter().map(|asset| asset.tag()).collect::<BTreeSet<_>>().len(), files.len());
    }
}
