//! `message`.

use super::{ClientArgs, GasArgs, KeyArgs, ListArgs};
use alloy_primitives::Address;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `message`
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Send text to an account
    Send(Box<MessageArgs>),
    /// The messages that an account has received, newest first
    Inbox {
        /// The account
        address: Address,
        /// Which of them.
        #[command(flatten)]
        list: ListArgs,
    },
    /// Print a line for each message to come, until interrupted
    Listen {
        /// The account
        address: Address,
        /// Begin with the messages of this block [default: those after the newest one]
        #[arg(long, value_name = "HEIGHT")]
        from: Option<u64>,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Answer each message that an account receives, one after another
    Agent(Box<AgentArgs>),
}

/// `message send`
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// The sender, whose key signs
    #[arg(long)]
    pub from: Address,
    /// The recipient
    #[arg(long)]
    pub to: Address,
    /// What to say
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub text: String,
    /// Wait for the receipt
    #[arg(long)]
    pub wait: bool,
    /// Gas and fees.
    #[command(flatten)]
    pub gas: GasArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Which node.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `message agent`
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// The account whose messages are answered, and whose key signs the answers
    pub address: Address,
    /// The answer
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub reply: String,
    /// End after so many answers; those that the state file counts are of them
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Begin with the messages of this block [default: those after the newest one]
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u64>,
    /// Where to keep what was answered last and what is being answered: an agent that is started again with it goes on
    /// there, answers nothing twice and leaves nothing out
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Gas and fees.
    #[command(flatten)]
    pub gas: GasArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Which node.
    #[command(flatten)]
    pub client: ClientArgs,
}
