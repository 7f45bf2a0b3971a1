#!/usr/bin/env bash
# Watches the heights of an authority (the genesis node) and a follower.
#
#   GENESIS_URL=http://10.0.0.1:8545 FOLLOWER_URL=http://10.0.0.2:8545 docs/examples/watch.sh
#
# INTERVAL: seconds between two looks. ROUNDS: how many looks; 0 looks until it is interrupted.
# CALLBOARD: the program. The same with hashes, and whether they are equal:
#   callboard chain height --watch 5 --rpc "$GENESIS_URL" --rpc "$FOLLOWER_URL"
set -u

GENESIS_URL="${GENESIS_URL:-http://127.0.0.1:8545}"
FOLLOWER_URL="${FOLLOWER_URL:-http://127.0.0.1:8546}"
INTERVAL="${INTERVAL:-5}"
ROUNDS="${ROUNDS:-0}"
CALLBOARD="${CALLBOARD:-callboard}"

# It would outrank NODE_URL, and both lines would show one node.
unset CALLBOARD_RPC_URL

height() {
    NODE_URL="$1" "$CALLBOARD" blockchain height 2>/dev/null || echo "no answer"
}

round=0
while true; do
    if [ -t 1 ]; then clear; fi
    echo "Watching block sync on both nodes..."
    echo ""
    echo "Genesis ($GENESIS_URL) Block Height:"
    height "$GENESIS_URL"
    echo ""
    echo "Follower ($FOLLOWER_URL) Block Height:"
    height "$FOLLOWER_URL"
    echo ""
    round=$((round + 1))
    if [ "$ROUNDS" -gt 0 ] && [ "$round" -ge "$ROUNDS" ]; then exit 0; fi
    sleep "$INTERVAL"
done
