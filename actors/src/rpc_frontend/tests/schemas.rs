//! Answers against the schemas of Ethereum's execution API.
