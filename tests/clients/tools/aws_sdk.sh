NODE_PATH="$TOOL/node_modules" node "$SCRIPTS/aws_sdk.cjs" "$1"
