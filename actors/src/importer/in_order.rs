//! Several small blocks at once, as a catch-up brings them: one message to ConfirmedState and one answer. Everything else
//! is as for each of them alone.

use super::{EXECUTE_DEADLINE, ImportFailure, Importer};
use crate::callboard::{Delivery, Kind, Provenance};
use crate::confirmed_state::{ImportBlock, ImportBlocks, ImportError, Imported};
use crate::monitor::StageMeter;
use callboard_chain::{Block, Verified};
use tracing::{Instrument, Span};

/// A verified block that is to be imported.
#[derive(Debug, Clone)]
pub struct Next {
    /// The block.
    pub block: Verified<Block>,
    /// Where it came from.
    pub provenance: Provenance,
    /// What is done for it is done within.
    pub span: Span,
}

impl Importer {
    /// Executes verified blocks of consecutive heights as [`Importer::import_verified`] does, from the first on, and says
    /// how many of them are imported now or were before, and why the next one is not, if it was refused. What is then
    /// left was not tried, also where nothing was refused: the disk is behind, or the rest is not to go together. They
    /// are to be no more work than one large block.
    ///
    /// An authority takes its own blocks back one by one: each holds the proposer.
    pub async fn import_next(&self, blocks: Vec<Next>) -> (usize, Option<ImportFailure>) {
        let together = blocks.iter().take_while(|next| self.is_taken(next)).count();
        if self.own_blocks.is_some() || together < 2 {
            return match blocks.into_iter().next() {
                Some(next) => self.import_one(next).await,
                None => (0, None),
            };
        }
        self.import_together(blocks.into_iter().take(together).collect()).await
    }

    /// Whether this one may be executed; if not, importing it alone says why.
    fn is_taken(&self, next: &Next) -> bool {
        let deliveries = self.callboard.deliveries(next.provenance.origin, Kind::Block);
        deliveries.contains(&Delivery::ImportBlock) && self.check_wanted(next.block.value(), next.provenance).is_ok()
    }

    async fn import_one(&self, next: Next) -> (usize, Option<ImportFailure>) {
        match self.import_verified(next.block, next.provenance).instrument(next.span).await {
            Ok(_) => (1, None),
            Err(failure) => (0, Some(failure)),
        }
    }

    async fn import_together(&self, blocks: Vec<Next>) -> (usize, Option<ImportFailure>) {
        let durable = self.durable_head().height;
        let message = |next: &Next| {
            let block = ImportBlock { block: next.block.clone(), provenance: next.provenance };
            (block, next.span.clone())
        };
        let message = ImportBlocks { blocks: blocks.iter().map(message).collect() };
        let answers = match self.confirmed_state.blocks.ask(message, EXECUTE_DEADLINE).await {
            Ok(answers) => answers,
            Err(error) => return (0, Some(self.not_answered(blocks.first(), error.into()))),
        };
        let mut imported = 0;
        for (next, answer) in blocks.iter().zip(answers) {
            match next.span.in_scope(|| self.on_answer(next, answer)) {
                Ok(true) => imported += 1,
                Ok(false) if imported == 0 => return (0, self.wait_for_disk(durable).await.err()),
                Ok(false) => break,
                Err(failure) => return (imported, Some(failure)),
            }
        }
        (imported, None)
    }

    /// `false` where ConfirmedState is too far ahead of the disk.
    fn on_answer(&self, next: &Next, answer: Result<Imported, ImportError>) -> Result<bool, ImportFailure> {
        let (block, provenance) = (next.block.value(), next.provenance);
        let answer = match answer {
            Ok(imported) => Ok(imported),
            Err(ImportError::Backlogged { .. }) => return Ok(false),
            Err(ImportError::Confirm(error)) => Err(error),
        };
        let settled = self.conclude(answer, (block.height(), block.hash()), provenance);
        settled.map(|_| true).inspect_err(|failure| self.on_refused(block, provenance, failure))
    }

    /// All of them may have been imported all the same: trying the first again tells.
    fn not_answered(&self, first: Option<&Next>, failure: ImportFailure) -> ImportFailure {
        if let Some(Next { block, provenance, span }) = first {
            span.in_scope(|| self.on_refused(block.value(), *provenance, &failure));
        }
        failure
    }

    pub(super) async fn wait_for_disk(&self, durable: u64) -> Result<(), ImportFailure> {
        let _stalled = self.waits.get().map(StageMeter::stalled);
        self.moved_past(durable).await
    }
}
