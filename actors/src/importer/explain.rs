//! The answers to "what became of this block": its checks in order, and its passport or its refusals.

use super::{Importer, Moment, Passport};
use crate::callboard::{Kind, Path, Role, RouteCount};
use alloy_primitives::{Address, B256, Bytes};
use callboard_chain::check::Stage;
use callboard_chain::{Blame, Check};
use callboard_store::{RefusedBlock, StorageError};
use serde::Serialize;

/// Most refusals of one block that are told; the newest.
const MAX_REFUSALS: usize = 20;

/// A block of the chain that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct ConfirmedBlock {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// The authority, which proposed it.
    pub proposer: Address,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// The block passed it.
    Passed,
    /// The block failed it.
    Failed,
    /// It was not made: the block was built here, to what it demands.
    Built,
}

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckResult {
    /// Its name.
    pub check: String,
    /// Where it is made; absent for what `importBlock` looks at before the block itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// What it demands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demands: Option<&'static str>,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// Whether the block passed it; absent where it was not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// When it was over, where that is known. The checks of a stage are made at one go, so they have one time: those of
    /// `verify` that of the verifier, those of `parent` and `execute` that of the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// What was expected, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What came, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

/// A refused block.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// The height it claimed.
    pub height: u64,
    /// Its hash; zero where the bytes are no block.
    pub hash: B256,
    /// The check that failed.
    pub check: String,
    /// What it expected.
    pub expected: String,
    /// What it found.
    pub actual: String,
    /// One sentence.
    pub message: String,
    /// Who is at fault.
    pub blame: Blame,
    /// Who sent it.
    pub sender: String,
    /// Where the sender answers, if that is known.
    pub url: Option<String>,
    /// Which way it came.
    pub path: String,
    /// When it came first, unix seconds.
    pub time: u64,
    /// When it came last, unix seconds.
    pub last_time: u64,
    /// How often it came.
    pub count: u64,
    /// How many bytes were sent.
    pub bytes: u64,
    /// What was found out afterwards: the first key or transaction that differs.
    pub finding: Option<String>,
    /// What to do.
    pub remedy: &'static str,
    /// The checks in order, up to the one that failed.
    pub checks: Vec<CheckResult>,
    /// The bytes that were sent, where they were asked for and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Bytes>,
}

/// A confirmed block.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// Who proposed and sealed it.
    pub proposer: Address,
    /// Whence it came, when, and to whom it went on; null where only the disk knows the block.
    pub passport: Option<Passport>,
    /// What the lack of a passport means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// The checks in order: all passed, or, where the block was built here, all kept by how it was built.
    pub checks: Vec<CheckResult>,
    /// What this node has done with blocks since its start, by where they came from and by route.
    pub route_counts: Vec<RouteCount>,
}

/// The answer to `callboard_explainBlock`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The height.
    pub height: u64,
    /// The hash of the confirmed block, otherwise of the newest refused one.
    pub hash: B256,
    /// The block of the chain.
    pub confirmed: Option<Confirmation>,
    /// Blocks that were refused: of that hash, or of that height where a number was asked for. Newest first.
    pub refusals: Vec<Rejection>,
}

const FROM_DISK: &str = "known from disk: its checks are those that every stored block has passed; whence and when it \
                         came is remembered of the newest blocks since the node's start only";
const BUILT_OR_TAKEN_BACK: &str = "known from disk: it was built here, or passed these checks when it was taken back; \
                                   which, and when, is remembered of the newest blocks since the node's start only";

impl Importer {
    /// The newest refused blocks. Reads the disk.
    pub fn rejections(&self, limit: usize) -> Result<Vec<Rejection>, StorageError> {
        Ok(self.refusals.listed(limit)?.into_iter().map(Rejection::from).collect())
    }

    /// Everything known of a block: by its hash, or by a height. `confirmed` is the chain's block, where it has one;
    /// `raw` asks for the bytes of the newest refused one. `None` where nothing is known. Reads the disk.
    pub fn explain(
        &self,
        height: Option<u64>,
        hash: Option<B256>,
        confirmed: Option<ConfirmedBlock>,
        raw: bool,
    ) -> Result<Option<Explanation>, StorageError> {
        let is_it = |block: &RefusedBlock| match hash {
            Some(hash) => block.hash == hash,
            None => height == Some(block.height) && !block.hash.is_zero(),
        };
        let mut refused = self.refusals.listed_where(is_it)?;
        refused.truncate(MAX_REFUSALS);
        let bytes = match refused.first() {
            Some(newest) if raw => self.refusals.bytes_of(newest)?,
            _ => None,
        };
        let mut refusals: Vec<Rejection> = refused.into_iter().map(Rejection::from).collect();
        if let Some(newest) = refusals.first_mut() {
            newest.raw = bytes;
        }
        let subject = confirmed.map(|block| (block.height, block.hash));
        let Some((height, hash)) = subject.or_else(|| refusals.first().map(|newest| (newest.height, newest.hash)))
        else {
            return Ok(None);
        };
        Ok(Some(Explanation { height, hash, confirmed: confirmed.map(|block| self.confirmation(block)), refusals }))
    }

    fn confirmation(&self, block: ConfirmedBlock) -> Confirmation {
        let passport = self.passports.find(block.height, block.hash);
        let is_authority = self.callboard.role() == Role::Authority;
        let built = passport.as_ref().map_or(is_authority, |passport| passport.path == Path::Sealed);
        let note = passport.is_none().then_some(if is_authority { BUILT_OR_TAKEN_BACK } else { FROM_DISK });
        let checks = Check::ALL.iter().map(|check| match built {
            true => CheckResult::of(check, CheckOutcome::Built, None),
            false => {
                CheckResult::of(check, CheckOutcome::Passed, passport.as_ref().and_then(|way| way.time_of(*check)))
            }
        });
        let checks = checks.collect();
        let counts = self.callboard.counts().into_iter().filter(|count| count.kind == Kind::Block);
        Confirmation { proposer: block.proposer, passport, note, checks, route_counts: counts.collect() }
    }
}

impl Passport {
    /// When the check was over.
    fn time_of(&self, check: Check) -> Option<Moment> {
        match check.stage() {
            Stage::Verify => self.verified_at,
            Stage::Parent | Stage::Execute => self.executed_at,
        }
    }
}

impl CheckResult {
    fn of(check: &Check, outcome: CheckOutcome, at: Option<Moment>) -> Self {
        let passed = match outcome {
            CheckOutcome::Passed => Some(true),
            CheckOutcome::Failed => Some(false),
            CheckOutcome::Built => None,
        };
        Self {
            check: check.name().to_owned(),
            stage: Some(check.stage()),
            demands: Some(check.demands()),
            outcome,
            passed,
            at,
            expected: None,
            actual: None,
        }
    }
}

impl From<RefusedBlock> for Rejection {
    fn from(block: RefusedBlock) -> Self {
        // The failed check is the one after those that were passed: two checks can be about one field.
        let known = Check::ALL.get(block.passed.len()).filter(|check| check.name() == block.check);
        let failed = CheckResult {
            check: block.check.clone(),
            stage: known.map(|check| check.stage()),
            demands: known.map(|check| check.demands()),
            outcome: CheckOutcome::Failed,
            passed: Some(false),
            at: Some(Moment::at(block.time)),
            expected: Some(block.expected.clone()),
            actual: Some(block.actual.clone()),
        };
        let before =
            Check::ALL.iter().zip(&block.passed).map(|(check, _)| CheckResult::of(check, CheckOutcome::Passed, None));
        let checks = known.map(|_| before.collect::<Vec<_>>()).unwrap_or_default();
        Self {
            height: block.height,
            hash: block.hash,
            check: block.check,
            expected: block.expected,
            actual: block.actual,
            message: block.message,
            blame: block.blame,
            sender: block.sender,
            url: block.url,
            path: block.path,
            time: block.time,
            last_time: block.last_time,
            count: block.count,
            bytes: block.length,
            finding: block.finding,
            remedy: known.map_or(UNCHECKED_REMEDY, |check| check.remedy()),
            checks: checks.into_iter().chain([failed]).collect(),
            raw: None,
        }
    }
}

/// For what `importBlock` refuses before it looks at the block.
const UNCHECKED_REMEDY: &str =
    "nothing is wrong on this node: post the block as blocks-range of the other node gives it";
