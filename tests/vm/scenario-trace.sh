# SPDX-License-Identifier: Apache-2.0
# only on: ours
# shellcheck shell=bash
# Spans of calls: the agent connects to port 10240 of the host and sends each span as an eight-byte
# length and JSON.

# Prints the spans collected so far, one per line.
spans() { tr -cd '\40-\176' <"$work/spans" | sed 's/{"traceId"/\n&/g'; }

has_span() { spans | grep -q "$1"; }
collected()
{
	within 60 has_span "$1" && return 0
	spans
	return 1
}

# The collector runs before the first call that is traced.
collect()
{
	case $address in
	vsock://*) socat -u VSOCK-LISTEN:10240 "CREATE:$work/spans" & ;;
	*) socat -u "UNIX-LISTEN:$vmdir/vsock.sock_10240" "CREATE:$work/spans" & ;;
	esac
	collector=$!
}

# A refused connection is retried only every five seconds.
heard()
{
	local i; for i in $(seq 8); do rpc Version '{}' >/dev/null; sleep 1; grep -qs Version \
		"$work/spans" && return 0; done; return 1
}
span_of_failure()
{
	! rpc RemoveContainer '{"container_id":"nobody"}' 2>/dev/null &&
		collected '"name":"grpc.AgentService/RemoveContainer".*"message":"INVALID_ARGUMENT"'
}
length()
{
	test "$(head -c 8 "$work/spans" | od -An -tx1 | tr -d ' \n' | cut -c1-12)" = 000000000000
}

if ok 'boot with tracing' boot trace --rootfs "$rootfs" --append agent.trace; then
	collect
	ok 'a call becomes a span' heard
	ok 'a span begins with its length' length
	ok 'the span of a failed call has its code' span_of_failure
	kill "$collector" 2>/dev/null
	ok 'calls are answered without a collector' is 0 eval 'rpc Check "{}" >/dev/null; echo $?'
	ok 'stop leaves nothing' stop trace
fi
rm -f "$work/spans"
