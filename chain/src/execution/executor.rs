//! Executing a block, transaction by transaction.

use super::environment::{self, Evm, EvmContext};
use super::outcome::{Outcome, outcome};
use super::{BlockContext, ExecuteError, ExecutionError};
use crate::{Block, BlockChanges, ChainConfig, Hardfork, Receipt, StateReadError, StateReader, Transaction, Verified};
use alloy_consensus::Transaction as _;
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip4788::{BEACON_ROOTS_ADDRESS, SYSTEM_ADDRESS};
use alloy_primitives::{Address, B256, Bloom, KECCAK256_EMPTY, TxKind};
use revm::context::result::{EVMError, ResultAndState};
use revm::context::{ContextSetters, TxEnv};
use revm::handler::{Handler, MainnetHandler};
use revm::{ExecuteEvm, InspectEvm, Inspector};

/// Gas of a block-start system call (EIP-4788, EIP-2935).
const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// What one transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionOutcome {
    /// How its code ran.
    pub outcome: Outcome,
    /// Gas it paid for, refunds taken off.
    pub gas_used: u64,
    /// The contract it created.
    pub contract_address: Option<Address>,
}

/// What a block did: what its header must claim, and what the state becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// A receipt for each transaction, in order.
    pub receipts: Vec<Receipt>,
    /// Gas that all transactions used.
    pub gas_used: u64,
    /// Bloom filter over all logs.
    pub logs_bloom: Bloom,
    /// Everything that changed. `after.storage_root` still is the root before the block; the trie sets it.
    pub changes: BlockChanges,
}

/// Runs the transactions of one block over the state of its parent. One EVM serves the whole block.
///
/// `I` looks on where a transaction is traced; where blocks are built and verified there is nothing.
pub struct BlockExecutor<'a, S: StateReader, I = ()> {
    evm: Evm<'a, S, I>,
    context: BlockContext,
    gas_used: u64,
    receipts: Vec<Receipt>,
}

impl<'a, S: StateReader> BlockExecutor<'a, S> {
    /// Begins a block: runs the system calls of EIP-4788 (with the zero root: there is no beacon chain) and, from
    /// Prague on, EIP-2935, each only where there is code at its address.
    pub fn new(state: &'a S, context: BlockContext) -> Result<Self, ExecutionError> {
        Self::inspected(state, context, ())
    }
}

impl<'a, S: StateReader, I> BlockExecutor<'a, S, I> {
    /// As [`Self::new`], with an inspector. It sees what [`Self::inspect`] runs, and nothing else.
    pub(super) fn inspected(state: &'a S, context: BlockContext, inspector: I) -> Result<Self, ExecutionError> {
        let evm = environment::evm(state, &context, environment::rules(&context), inspector);
        let mut executor = Self { evm, context, gas_used: 0, receipts: Vec::new() };
        executor.system_call(BEACON_ROOTS_ADDRESS, B256::ZERO)?;
        if executor.context.hardfork >= Hardfork::Prague {
            executor.system_call(HISTORY_STORAGE_ADDRESS, executor.context.parent_hash)?;
        }
        Ok(executor)
    }

    /// Runs one transaction and keeps its effects and its receipt. One that may not run leaves no trace.
    pub fn execute(&mut self, transaction: &Transaction, sender: Address) -> Result<TransactionOutcome, ExecuteError> {
        self.check_block_gas(transaction.gas_limit())?;
        let executed = self.evm.transact(environment::transaction(transaction, sender));
        let executed = self.ran(executed)?;
        self.keep(transaction, executed)
    }

    /// As [`Self::execute`], under the eyes of the inspector; `tell` is asked what it saw before the effects are kept.
    pub(super) fn inspect<T>(
        &mut self,
        transaction: &Transaction,
        sender: Address,
        tell: impl FnOnce(&mut Evm<'a, S, I>, &ResultAndState) -> Result<T, ExecuteError>,
    ) -> Result<(T, TransactionOutcome), ExecuteError>
    where
        I: Inspector<EvmContext<'a, S>>,
    {
        self.check_block_gas(transaction.gas_limit())?;
        let executed = self.evm.inspect_tx(environment::transaction(transaction, sender));
        let executed = self.ran(executed)?;
        let told = tell(&mut self.evm, &executed)?;
        Ok((told, self.keep(transaction, executed)?))
    }

    /// What looks on.
    pub(super) fn inspector(&mut self) -> &mut I {
        &mut self.evm.inspector
    }

    fn ran(&self, executed: Result<ResultAndState, EVMError<StateReadError>>) -> Result<ResultAndState, ExecuteError> {
        executed.map_err(|error| ExecuteError::from_revm(error, &self.evm.ctx.tx, &self.context))
    }

    fn keep(
        &mut self,
        transaction: &Transaction,
        executed: ResultAndState,
    ) -> Result<TransactionOutcome, ExecuteError> {
        self.evm.ctx.journaled_state.database.commit(executed.state)?;
        let gas_used = executed.result.tx_gas_used();
        let success = executed.result.is_success();
        // Empty unless it succeeded.
        let logs = executed.result.logs().to_vec();
        let (outcome, contract_address) = outcome(executed.result);
        // Cannot overflow: no more than the block's gas limit is ever given out.
        self.gas_used = self.gas_used.saturating_add(gas_used);
        let tx_type = transaction.tx_type();
        self.receipts.push(Receipt { tx_type, success, cumulative_gas_used: self.gas_used, logs });
        Ok(TransactionOutcome { outcome, gas_used, contract_address })
    }

    /// Gas used so far.
    pub const fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// The block that is being executed.
    pub const fn context(&self) -> &BlockContext {
        &self.context
    }

    /// The receipts so far.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// Ends the block. Fails only where state cannot be read.
    pub fn finish(self) -> Result<Executed, ExecutionError> {
        let changes = self.evm.ctx.journaled_state.database.into_changes()?;
        let logs_bloom = self.receipts.iter().flat_map(|receipt| &receipt.logs).collect();
        Ok(Executed { receipts: self.receipts, gas_used: self.gas_used, logs_bloom, changes })
    }

    fn check_block_gas(&self, gas_limit: u64) -> Result<(), ExecuteError> {
        let available = self.context.gas_limit.saturating_sub(self.gas_used);
        // A limit above the whole block's is the transaction's fault; revm's own check names it.
        if gas_limit > available && gas_limit <= self.context.gas_limit {
            return Err(ExecuteError::BlockGasExhausted { gas_limit, available });
        }
        Ok(())
    }

    fn system_call(&mut self, contract: Address, input: B256) -> Result<(), ExecutionError> {
        let account = self.evm.ctx.journaled_state.database.account(contract)?;
        if account.is_none_or(|account| account.code_hash == KECCAK256_EMPTY) {
            return Ok(());
        }
        self.evm.ctx.set_tx(TxEnv {
            caller: SYSTEM_ADDRESS,
            kind: TxKind::Call(contract),
            data: input.0.into(),
            gas_limit: SYSTEM_CALL_GAS,
            ..TxEnv::default()
        });
        // revm's own shortcut adds Amsterdam's state gas to the limit, which the contract could see.
        let result =
            MainnetHandler::<_, revm::context::result::EVMError<_>, _>::default().run_system_call(&mut self.evm);
        let state = self.evm.finalize();
        result?;
        Ok(self.evm.ctx.journaled_state.database.commit(state)?)
    }
}

impl<S: StateReader, I> std::fmt::Debug for BlockExecutor<'_, S, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("BlockExecutor");
        out.field("context", &self.context).field("gas_used", &self.gas_used).finish_non_exhaustive()
    }
}

/// Executes a whole block over the state of its parent. What its header claims is not compared here.
pub fn execute_block<S: StateReader>(
    state: &S,
    config: &ChainConfig,
    block: &Verified<Block>,
) -> Result<Executed, ExecutionError> {
    let context = BlockContext::for_header(block.value().header(), config);
    let mut executor = BlockExecutor::new(state, context)?;
    let transactions = block.value().transactions().iter().zip(block.senders().iter());
    for (index, (transaction, sender)) in transactions.enumerate() {
        let outcome = executor.execute(transaction, *sender);
        outcome.map_err(|error| ExecutionError::of_transaction(index, *transaction.tx_hash(), error))?;
    }
    executor.finish()
}
