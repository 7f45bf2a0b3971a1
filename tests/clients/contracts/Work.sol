// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// Costs as much gas as it is given, and remembers what it came to.
contract Work {
    bytes32 public last;
    uint256 public calls;

    function burn(uint256 rest) external {
        bytes32 hash = last;
        assembly {
            for {} gt(gas(), rest) {} {
                mstore(0, hash)
                hash := keccak256(0, 32)
            }
        }
        last = hash;
        calls += 1;
    }
}
