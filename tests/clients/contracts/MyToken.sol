// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// An ERC-20 as people write it on OpenZeppelin's: its owner mints.
contract MyToken is ERC20, Ownable {
    constructor(address owner) ERC20("My Token", "MYT") Ownable(owner) {}

    function mint(address to, uint256 amount) external onlyOwner {
        require(amount > 0, "nothing to mint");
        _mint(to, amount);
    }
}
