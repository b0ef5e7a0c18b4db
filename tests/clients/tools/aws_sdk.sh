# The machine's Node may be older than the library likes; that is between the two.
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true
NODE_PATH="$TOOL/node_modules" node "$SCRIPTS/aws_sdk.cjs" "$1"
