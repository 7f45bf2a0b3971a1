//! Where values come from: defaults, the file, the environment, flags; later ones win.

use super::error::ConfigurationError;
use super::keys::{Key, SECTIONS, nearest};
use super::kind::Kind;
use super::{BUILT_IN, Configuration, Entry, Origin, rules};
use config::{Config, Environment, FileFormat, Map, Source, Value, ValueKind};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What environment variables that set keys begin with: `CALLBOARD__RPC__LISTEN` sets `rpc.listen`.
pub(super) const VARIABLE_PREFIX: &str = "CALLBOARD";
/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "node.toml";
/// The key defaults.
const DEFAULTS: &str = include_str!("defaults.toml");

/// A key set on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// As typed, `--rpc-listen`.
    pub flag: &'static str,
    /// The key it sets.
    pub key: &'static str,
    /// What was given; several for a list.
    pub values: Vec<String>,
}

/// Where a configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`; `None` reads ./node.toml, or the built-in one where there is none.
    pub file: Option<PathBuf>,
    /// Flags, which win over everything else.
    pub flags: Vec<Flag>,
    /// In place of the process's environment.
    pub environment: Option<HashMap<String, String>>,
}

/// One source's values, checked; what the `config` crate merges.
#[derive(Debug, Clone, Default)]
struct Layer(BTreeMap<&'static str, (ValueKind, Origin)>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let value = |(kind, origin): &(ValueKind, Origin)| Value::new(Some(&origin.to_string()), kind.clone());
        Ok(self.0.iter().map(|(key, entry)| ((*key).to_owned(), value(entry))).collect())
    }
}

impl Configuration {
    /// Reads and checks every source. Nothing is written and nothing is opened but the file.
    pub fn load(sources: &Sources) -> Result<Self, ConfigurationError> {
        let here = std::path::absolute(".").unwrap_or_else(|_| PathBuf::from("."));
        let (text, origin, folder) = read_file(sources.file.as_deref(), &here)?;
        let environment = environment_layer(sources.environment.clone(), &folder)?;
        let flags = flag_layer(&sources.flags, &here)?;
        assemble(vec![file_layer(&text, &origin, &folder)?, environment, flags], folder)
    }

    /// From the text of a file alone: no environment, no flags. Relative paths start at `folder`.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Self, ConfigurationError> {
        let origin = Origin::File(folder.join(DEFAULT_FILE));
        assemble(vec![file_layer(text, &origin, folder)?], folder.to_owned())
    }
}

fn assemble(layers: Vec<Layer>, folder: PathBuf) -> Result<Configuration, ConfigurationError> {
    let mut builder = Config::builder();
    let mut entries = BTreeMap::new();
    for layer in std::iter::once(file_layer(DEFAULTS, &Origin::Default, &folder)?).chain(layers) {
        builder = builder.add_source(layer.clone());
        entries.extend(layer.0.into_iter().map(|(key, (value, origin))| (key, Entry { value: json(&value), origin })));
    }
    let mut configuration: Configuration = builder.build()?.try_deserialize()?;
    configuration.folder = folder;
    configuration.entries = entries;
    rules::check(&configuration)?;
    Ok(configuration)
}

fn read_file(named: Option<&Path>, here: &Path) -> Result<(String, Origin, PathBuf), ConfigurationError> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    if named.is_none() && !file.exists() {
        return Ok((BUILT_IN.to_owned(), Origin::BuiltIn, here.to_owned()));
    }
    let text = std::fs::read_to_string(file)
        .map_err(|source| ConfigurationError::Unreadable { file: file.to_owned(), source })?;
    let folder = here.join(file).parent().map_or_else(|| here.to_owned(), Path::to_owned);
    Ok((text, Origin::File(file.to_owned()), folder))
}

fn file_layer(text: &str, origin: &Origin, folder: &Path) -> Result<Layer, ConfigurationError> {
    check_syntax(text, origin)?;
    let mut layer = Layer::default();
    flatten("", config::File::from_str(text, FileFormat::Toml).collect()?, &mut |key, value| {
        let known = lookup(key, &value, origin)?;
        let accepted = known.kind.accept(&value, folder).ok_or_else(|| refused(known, &value, origin))?;
        layer.0.insert(known.name, (accepted, origin.clone()));
        Ok(())
    })?;
    Ok(layer)
}

/// The `config` crate's own message spans several lines.
fn check_syntax(text: &str, origin: &Origin) -> Result<(), ConfigurationError> {
    let Err(error) = text.parse::<toml::Table>() else { return Ok(()) };
    let before = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(before).filter(|byte| *byte == b'\n').count() + 1;
    let reason = error.message().replace('\n', ", ");
    Err(ConfigurationError::Syntax { file: PathBuf::from(origin.to_string()), line, reason })
}

type OnValue<'a> = dyn FnMut(&str, ValueKind) -> Result<(), ConfigurationError> + 'a;

fn flatten(prefix: &str, table: Map<String, Value>, on_value: &mut OnValue<'_>) -> Result<(), ConfigurationError> {
    // The map has no order: of several mistakes always the same is reported.
    for (name, value) in table.into_iter().collect::<BTreeMap<_, _>>() {
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value.kind {
            ValueKind::Table(inner) if SECTIONS.contains(&name.as_str()) => flatten(&name, inner, on_value)?,
            kind => on_value(&name, kind)?,
        }
    }
    Ok(())
}

fn environment_layer(environment: Option<HashMap<String, String>>, folder: &Path) -> Result<Layer, ConfigurationError> {
    let variables = Environment::with_prefix(VARIABLE_PREFIX).prefix_separator("__").separator("__");
    let mut layer = Layer::default();
    let found = variables.source(environment.map(|map| map.into_iter().collect())).collect()?;
    for (name, value) in found.into_iter().collect::<BTreeMap<_, _>>() {
        let variable = format!("{VARIABLE_PREFIX}__{}", name.replace('.', "__").to_uppercase());
        let origin = Origin::Variable(variable);
        let known = lookup(&name, &value.kind, &origin)?;
        let text = value.clone().into_string()?;
        let accepted = known.kind.parse(&text, folder).ok_or_else(|| refused(known, &value.kind, &origin))?;
        layer.0.insert(known.name, (accepted, origin));
    }
    Ok(layer)
}

fn flag_layer(flags: &[Flag], here: &Path) -> Result<Layer, ConfigurationError> {
    let mut layer = Layer::default();
    for flag in flags {
        let origin = Origin::Flag(flag.flag);
        let text = flag.values.join(",");
        let value = ValueKind::String(text.clone());
        let known = lookup(flag.key, &value, &origin)?;
        let accepted = known.kind.parse(&text, here).ok_or_else(|| refused(known, &value, &origin))?;
        layer.0.insert(known.name, (accepted, origin));
    }
    Ok(layer)
}

fn lookup(name: &str, value: &ValueKind, origin: &Origin) -> Result<&'static Key, ConfigurationError> {
    if let Some(key) = Key::find(name) {
        return Ok(key);
    }
    let (origin, value) = (origin.clone(), shown(value));
    match SECTIONS.into_iter().find(|section| *section == name) {
        Some(section) => Err(ConfigurationError::NotASection { origin, section, value }),
        None => Err(ConfigurationError::UnknownKey { origin, key: name.to_owned(), value, nearest: nearest(name) }),
    }
}

fn refused(key: &'static Key, value: &ValueKind, origin: &Origin) -> ConfigurationError {
    ConfigurationError::NotAllowed {
        origin: origin.clone(),
        key: key.name,
        // A URL may hold a secret, and this is printed.
        value: if matches!(key.kind, Kind::WebUrl) { "…".to_owned() } else { shown(value) },
        allowed: key.kind.allowed(),
    }
}

/// A value as it would be written, cut where it is long.
fn shown(value: &ValueKind) -> String {
    const LONGEST: usize = 120;
    let text = json(value).to_string();
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain("…".chars()).collect() }
}

fn json(value: &ValueKind) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        // The one key that accepts `false` in place of an address reads it as none.
        ValueKind::Nil => Json::Bool(false),
        ValueKind::Boolean(flag) => (*flag).into(),
        ValueKind::I64(n) => (*n).into(),
        ValueKind::U64(n) => (*n).into(),
        ValueKind::I128(n) => n.to_string().into(),
        ValueKind::U128(n) => n.to_string().into(),
        ValueKind::Float(n) => (*n).into(),
        ValueKind::String(text) => text.clone().into(),
        ValueKind::Array(entries) => entries.iter().map(|entry| json(&entry.kind)).collect(),
        ValueKind::Table(table) => table.iter().map(|(key, value)| (key.clone(), json(&value.kind))).collect(),
    }
}
