//! `config check` and `config show`.

use super::args::ConfigCommand;
use super::{CliError, output};
use crate::configuration::{Configuration, Sources};

pub(super) fn run(command: &ConfigCommand) -> Result<(), CliError> {
    match command {
        ConfigCommand::Check { file } => {
            Configuration::load(&Sources { file: Some(file.clone()), ..Sources::default() })?;
            output::line(&format!("{}: the configuration is valid", file.display()))
        }
        ConfigCommand::Show { config, json } => {
            let configuration = Configuration::load(&config.sources())?;
            match json {
                true => output::line(&format!("{:#}", configuration.to_json())),
                false => output::line(configuration.to_annotated_toml().trim_end()),
            }
        }
    }
}
