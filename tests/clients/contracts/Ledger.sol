// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// What the tests of client libraries use: a value, an event with indexed members, and both kinds of refusal.
contract Ledger {
    /// More than one entry may hold.
    error TooMuch(address who, uint256 asked, uint256 most);

    event Noted(address indexed who, uint256 indexed number, string text);

    uint256 public latest;

    constructor(uint256 first) {
        latest = first;
    }

    function note(uint256 number, string calldata text) external {
        require(number != 0, "nothing to note");
        if (number > 1000) revert TooMuch(msg.sender, number, 1000);
        latest = number;
        emit Noted(msg.sender, number, text);
    }
}
