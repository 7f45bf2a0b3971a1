// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Ledger} from "../src/Ledger.sol";

/// What forge gives to scripts, as far as this one needs it.
interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// Deploys a ledger and notes in it twice: three transactions, sent by `forge script`.
contract Note {
    bool public constant IS_SCRIPT = true;
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function run(uint256 first) external returns (Ledger ledger) {
        VM.startBroadcast();
        ledger = new Ledger(first);
        ledger.note(first + 1, "from a script");
        ledger.note(first + 2, "once more");
        VM.stopBroadcast();
    }
}
