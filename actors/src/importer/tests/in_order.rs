//! Several small blocks at once.

use super::*;
use crate::confirmed_state::ImportBlocks;
use callboard_chain::live::ConfirmError;
use std::collections::VecDeque;

type Answer = Result<Imported, ImportError>;

/// What a ConfirmedState answers of one block.
#[derive(Clone, Copy)]
enum Says {
    Imported,
    Known,
    Backlogged,
    OtherRoot,
}

impl Says {
    fn of(self, block: &Block) -> Answer {
        let (height, hash, expected) = (block.height(), block.hash(), block.header().state_root);
        match self {
            Self::Imported => Ok(Imported { height, hash }),
            Self::Known => Err(ConfirmError::Known { height }.into()),
            Self::Backlogged => Err(ImportError::Backlogged { blocks: 1 }),
            Self::OtherRoot => {
                Err(ConfirmError::StateRoot { height, expected, actual: B256::ZERO, touched: Arc::default() }.into())
            }
        }
    }
}

/// A catching-up node whose ConfirmedState says this of the blocks of each message, and four blocks for it.
async fn bench(says: impl IntoIterator<Item = Vec<Says>>) -> (Bench, Probe<ImportBlocks>, Vec<Next>) {
    let mut says: VecDeque<Vec<Says>> = says.into_iter().collect();
    let (blocks, asked) = probe(move |message: &ImportBlocks| {
        let says = says.pop_front().expect("no more messages than were expected");
        says.iter().zip(&message.blocks).map(|(says, (block, _))| says.of(block.block.value())).collect()
    })
    .await;
    let mut bench = Bench::new(Phase::CatchingUp, imported).await;
    bench.importer.confirmed_state.blocks = blocks;
    let sealed = [bench.block.clone(), bench.chain.seal(&[]), bench.chain.seal(&[]), bench.chain.seal(&[])];
    let mut next = Vec::new();
    for block in sealed {
        let block = bench.importer.verify(block.bytes().clone(), Provenance::OPERATOR).await.unwrap();
        next.push(Next { block, provenance: Provenance::OPERATOR, span: Span::none() });
    }
    (bench, asked, next)
}

#[actix_rt::test]
async fn small_blocks_are_one_message_and_each_is_counted_by_itself() {
    let (bench, mut asked, next) = bench([vec![Says::Imported, Says::Known, Says::Imported, Says::Imported]]).await;
    let (imported, failure) = bench.importer.import_next(next).await;
    assert!(failure.is_none(), "{failure:?}");
    assert_eq!((imported, bench.counted()), (4, [3, 1, 0]));
    let heights: Vec<_> = asked.next().await.blocks.iter().map(|(block, _)| block.block.value().height()).collect();
    assert_eq!(heights, [1, 2, 3, 4]);
}

#[actix_rt::test]
async fn of_blocks_of_which_one_is_refused_those_before_it_are_imported_and_none_after_it() {
    let (bench, _asked, next) = bench([vec![Says::Imported, Says::OtherRoot]]).await;
    let (imported, failure) = bench.importer.import_next(next).await;
    let failure = failure.expect("block 2 is refused");
    assert_eq!((imported, failure.check(), failure.blame()), (1, "stateRoot", Blame::Local));
    assert_eq!(bench.counted(), [1, 0, 0]);
    assert_eq!(bench.importer.refusals().newest(), Some(failure.to_string()));
}

#[actix_rt::test]
async fn blocks_for_which_the_disk_is_behind_are_left_and_the_first_of_them_waits_for_it() {
    let (bench, mut asked, next) = bench([vec![Says::Imported, Says::Backlogged], vec![Says::Backlogged]]).await;
    let (imported, failure) = bench.importer.import_next(next.clone()).await;
    assert_eq!((imported, failure.is_none()), (1, true), "the rest is left, and nobody waits");
    let importer = bench.importer.clone();
    let waits = actix_rt::spawn(async move { importer.import_next(next[1..].to_vec()).await });
    asked.next().await;
    asked.next().await;
    settle().await;
    assert!(!waits.is_finished());
    bench.becomes_durable();
    let (imported, failure) = waits.await.unwrap();
    assert_eq!((imported, failure.is_none(), bench.counted()), (0, true, [1, 0, 0]));
}

#[actix_rt::test]
async fn an_authority_takes_its_own_blocks_back_one_by_one_and_holds_the_proposer_before_each() {
    let (mut bench, _asked, next) = bench([]).await;
    bench.callboard.set_role(Role::Authority);
    let (hold, mut held) = probe(|_: &HoldProposing| ()).await;
    let (met, _told) = probe(|_: &OwnBlockMet| ()).await;
    bench.importer.own_blocks = Some(OwnBlocks { hold, met });
    let (imported, failure) = bench.importer.import_next(next).await;
    assert_eq!((imported, failure.is_none()), (1, true));
    assert_eq!(held.next().await, HoldProposing { height: 1 });
    assert_eq!(bench.asked.next().await.block.value().height(), 1);
    assert!(held.try_next().is_none() && bench.asked.try_next().is_none());
}

#[actix_rt::test]
async fn a_phase_that_imports_nothing_imports_no_batch() {
    let (bench, mut asked, next) = bench([]).await;
    bench.callboard.set_phase(Phase::Replaying);
    let (imported, failure) = bench.importer.import_next(next).await;
    assert!(matches!(failure, Some(ImportFailure::NotRouted { .. })), "{failure:?}");
    assert_eq!((imported, bench.counted()), (0, [0, 0, 1]));
    assert!(asked.try_next().is_none());
}

#[actix_rt::test]
async fn of_blocks_that_came_together_none_after_a_forged_one_is_looked_at() {
    let (bench, _asked, next) = bench([]).await;
    let mut bytes: Vec<_> = next.iter().map(|next| (next.block.value().bytes().clone(), Span::none())).collect();
    let forged = |block: &Block| {
        Block::from_parts(block.header().clone(), Vec::new(), Seal::sign(&key(2), block.hash())).bytes().clone()
    };
    bytes[1].0 = forged(next[1].block.value());
    bytes[2].0 = forged(next[2].block.value());
    let verdicts = bench.importer.verify_each(bytes, Provenance::OPERATOR).await;
    let said: Vec<_> = verdicts.iter().map(|verdict| verdict.as_ref().map_err(ImportFailure::check).err()).collect();
    assert_eq!(said, [None, Some("seal")]);
    assert_eq!(bench.importer.refusals().total(), 1);
}
