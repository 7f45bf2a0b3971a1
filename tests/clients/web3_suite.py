"""What people do with web3.py, as steps that web3py.test.mjs asks for: `{"step": NAME, "args": [...]}`, one line each."""

import asyncio
import json
import sys
import threading
import traceback

from eth_abi import decode
from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError, ContractLogicError, Web3RPCError
from web3.middleware import SignAndSendRawMiddlewareBuilder
from web3.utils.subscriptions import LogsSubscription, NewHeadsSubscription

NOBODY = "0x" + "00" * 19 + "01"


class Suite:
    """The steps. Each asserts what it must find."""

    def __init__(self, url: str, key: str, abi: list, bytecode: str) -> None:
        self.url = url
        self.w3 = Web3(Web3.HTTPProvider(url))
        self.eth = self.w3.eth
        self.account = self.eth.account.from_key(key)
        self.w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(self.account), layer=0)
        self.eth.default_account = self.account.address
        self.abi, self.bytecode = abi, bytecode
        self.ledger = None

    def confirmed(self, sent) -> dict:
        """The receipt of a transaction that was executed without fault."""
        receipt = self.eth.wait_for_transaction_receipt(sent, timeout=20, poll_latency=0.05)
        assert receipt.status == 1, receipt
        return receipt

    def note(self, number: int, text: str = "") -> dict:
        return self.confirmed(self.ledger.functions.note(number, text).transact())

    def fees(self) -> None:
        assert self.w3.is_connected()
        assert (self.eth.gas_price, self.eth.max_priority_fee) == (0, 0)
        history = self.eth.fee_history(4, "latest", [25, 75])
        assert set(history.baseFeePerGas) == {0} and {fee for row in history.reward for fee in row} <= {0}, history
        block = self.eth.get_block("latest")
        assert block.baseFeePerGas == 0 and len(block.extraData) <= 32, block
        # What is not given is filled in: an account without funds can send.
        poor = self.eth.account.create()
        w3 = Web3(Web3.HTTPProvider(self.url))
        w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(poor), layer=0)
        receipt = self.confirmed(w3.eth.send_transaction({"from": poor.address, "to": NOBODY, "value": 0}))
        assert (receipt.type, receipt.effectiveGasPrice) == (2, 0), receipt

    def transfers(self) -> None:
        to = self.eth.account.create().address
        access = [{"address": to, "storageKeys": ["0x" + "00" * 32]}]
        authorizer = self.eth.account.create()
        authorization = authorizer.sign_authorization({"chainId": self.eth.chain_id, "address": to, "nonce": 0})
        free = {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
        kinds = [
            (0, {"gasPrice": 0}),
            (1, {"type": 1, "gasPrice": 0, "accessList": access}),
            (2, {"type": 2, **free, "accessList": access}),
            (4, {"type": 4, **free, "authorizationList": [authorization], "gas": 100_000}),
        ]
        for kind, fields in kinds:
            transaction = {"from": self.account.address, "to": to, "value": 5, **fields}
            receipt = self.confirmed(self.eth.send_transaction(transaction))
            assert receipt.type == kind, receipt
            found = self.eth.get_transaction(receipt.transactionHash)
            assert (found.type, found.value, found["from"]) == (kind, 5, self.account.address), found
        assert self.eth.get_balance(to) == 20
        assert self.eth.get_code(authorizer.address) == bytes.fromhex("ef0100" + to[2:])

    def blob(self) -> str:
        """The refusal of a blob transaction, without its blob: the proofs of one take this library long."""
        transaction = {
            "type": 3,
            "chainId": self.eth.chain_id,
            "nonce": self.eth.get_transaction_count(self.account.address),
            "to": NOBODY,
            "value": 0,
            "gas": 21_000,
            "maxFeePerGas": 1,
            "maxPriorityFeePerGas": 1,
            "maxFeePerBlobGas": 1,
            "blobVersionedHashes": ["0x01" + "00" * 31],
        }
        signed = self.account.sign_transaction(transaction)
        return refusal(lambda: self.eth.send_raw_transaction(signed.raw_transaction))

    def contract(self) -> None:
        factory = self.eth.contract(abi=self.abi, bytecode=self.bytecode)
        created = self.confirmed(factory.constructor(7).transact())
        self.ledger = self.eth.contract(address=created.contractAddress, abi=self.abi)
        latest = self.ledger.functions.latest()
        assert latest.call() == 7
        receipt = self.note(8, "eight")
        [event] = self.ledger.events.Noted().process_receipt(receipt)
        assert dict(event.args) == {"who": self.account.address, "number": 8, "text": "eight"}, event
        assert latest.call() == 8
        assert latest.call(block_identifier=receipt.blockNumber - 1) == 7
        assert int.from_bytes(self.eth.get_storage_at(self.ledger.address, 0)) == 8

    def refusals(self) -> None:
        note = self.ledger.functions.note
        for attempt in [lambda call: call.call(), lambda call: call.estimate_gas(), lambda call: call.transact()]:
            reason = raised(ContractLogicError, lambda: attempt(note(0, "")))
            assert reason.message == "execution reverted: nothing to note", reason
            custom = raised(ContractCustomError, lambda: attempt(note(1_001, "")))
            data = bytes.fromhex(custom.data[2:])
            assert data[:4] == Web3.keccak(text="TooMuch(address,uint256,uint256)")[:4], custom.data
            who, asked, most = decode(["address", "uint256", "uint256"], data[4:])
            assert (Web3.to_checksum_address(who), asked, most) == (self.account.address, 1_001, 1_000)

    def logs(self) -> None:
        receipt = self.note(9, "nine")
        noted = self.ledger.events.Noted()

        def numbers(**options) -> list:
            return [log.args.number for log in noted.get_logs(**options)]

        assert numbers(from_block=0) == [8, 9]
        assert numbers(from_block=0, argument_filters={"who": self.account.address, "number": [9, 10]}) == [9]
        assert numbers(from_block=0, argument_filters={"who": NOBODY}) == []
        assert numbers(block_hash=receipt.blockHash) == [9]
        everything = {"address": self.ledger.address, "fromBlock": "earliest"}
        assert len(self.eth.get_logs(everything)) == 2

    def filters(self) -> None:
        events = self.ledger.events.Noted.create_filter(from_block="latest", argument_filters={"who": self.account.address})
        blocks, pending = self.eth.filter("latest"), self.eth.filter("pending")
        logs = self.eth.filter({"address": self.ledger.address, "fromBlock": 0})
        receipts = [self.note(11), self.note(12)]
        assert [event.args.number for event in events.get_new_entries()] == [11, 12]
        assert events.get_new_entries() == []
        assert blocks.get_new_entries() == [receipt.blockHash for receipt in receipts]
        assert pending.get_new_entries() == [receipt.transactionHash for receipt in receipts]
        assert len(logs.get_all_entries()) == 4
        for made in [events, blocks, pending, logs]:
            assert self.eth.uninstall_filter(made.filter_id) is True
        assert refusal(events.get_new_entries).startswith("-32000 filter not found")

    def batch(self, calls: int) -> None:
        latest = self.ledger.functions.latest()
        with self.w3.batch_requests() as batch:
            batch.add(self.eth.get_block("latest"))
            for _ in range(calls - 1):
                batch.add(latest)
            block, *answers = batch.execute()
        assert block.number > 0 and answers == [12] * (calls - 1), answers[:3]

    def proof(self) -> None:
        block = self.eth.get_block("latest")
        proof = self.eth.get_proof(self.ledger.address, [0], block.number)
        assert Web3.keccak(proof.accountProof[0]) == block.stateRoot
        [slot] = proof.storageProof
        assert Web3.keccak(slot.proof[0]) == proof.storageHash
        assert int.from_bytes(slot.value) == 12, slot

    def prepare(self) -> None:
        call = {"from": self.account.address, "to": self.ledger.address, "data": self.ledger.encode_abi("note", [13, ""])}
        made = self.eth.create_access_list(call)
        [entry] = made.accessList
        assert (entry.address, entry.storageKeys) == (self.ledger.address, ["0x" + "00" * 32]), made
        diff = {self.ledger.address: {"stateDiff": {"0x" + "00" * 32: "0x" + "00" * 31 + "2a"}}}
        assert self.ledger.functions.latest().call(state_override=diff) == 42
        assert self.w3.geth.txpool.status() == {"pending": "0x0", "queued": "0x0"}

    def trace(self) -> None:
        receipt = self.note(14)
        answer = self.w3.provider.make_request(
            "debug_traceTransaction", [receipt.transactionHash.to_0x_hex(), {"tracer": "callTracer"}]
        )
        root = answer["result"]
        assert (root["type"], Web3.to_checksum_address(root["to"])) == ("CALL", self.ledger.address), root

    def keep_filter(self) -> None:
        self.kept = self.eth.filter({"address": self.ledger.address})
        assert self.kept.get_new_entries() == []

    def read_kept_filter(self) -> str:
        """The refusal of a filter that the node has forgotten."""
        return refusal(self.kept.get_new_entries)

    def listen(self) -> None:
        """Subscribes over WebSocket, and again whenever the connection is lost."""
        self.heard = {"heads": [], "logs": []}
        address, heard = self.ledger.address, self.heard

        async def keep_head(context) -> None:
            heard["heads"].append(context.result["number"])

        async def keep_log(context) -> None:
            heard["logs"].append(int.from_bytes(context.result["topics"][2]))

        async def run() -> None:
            async for w3 in AsyncWeb3(WebSocketProvider(self.url.replace("http", "ws"))):
                try:
                    await w3.subscription_manager.subscribe(
                        [NewHeadsSubscription(handler=keep_head), LogsSubscription(address=address, handler=keep_log)]
                    )
                    await w3.subscription_manager.handle_subscriptions()
                except Exception as error:  # noqa: BLE001: whatever ends a connection is followed by the next one
                    print(f"web3.py connects again after {error!r}", file=sys.stderr)

        threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()

    def note_one(self, number: int) -> None:
        self.note(number)

    def what_was_heard(self) -> dict:
        return self.heard


def raised(kind: type, action):
    """What `action` raises, which is exactly of this kind."""
    try:
        action()
    except Exception as error:
        assert type(error) is kind, repr(error)
        return error
    raise AssertionError(f"no {kind.__name__}")


def refusal(action) -> str:
    """Code and message of the error that the node answers with."""
    error = raised(Web3RPCError, action).rpc_response["error"]
    return f"{error['code']} {error['message']}"


def main() -> None:
    suite = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked["step"] == "start":
                suite, result = Suite(*asked["args"]), None
            else:
                result = getattr(suite, asked["step"])(*asked["args"])
            answer = {"result": result}
        except Exception:  # noqa: BLE001: the test that asked shows it
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


main()
