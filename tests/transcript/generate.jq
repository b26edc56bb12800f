# SPDX-License-Identifier: Apache-2.0
# Converts one recording (all its lines, slurped) to a transcript. tests/transcript/generate
# describes
# the format of a recording. $scenario is its name, the key in rules.jq.
include "rules";

def code_name: ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
	"UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"][.];

# ---- JSON in lines of a readable length; continuation lines begin with a tab ----

def lines_of($texts):
	reduce $texts[] as $t ([];
		if length > 0 and (.[-1] | length) + ($t | length) < 140 then .[-1] += "," + $t else . + [$t] end)
	| join(",\n\t");
def fold:
	tojson as $flat
	| if ($flat | length) <= 140 then $flat
	elif type == "object" then "{" + lines_of([to_entries[] | (.key | tojson) + ":" + (.value | fold)]) + "}"
	elif type == "array" then "[" + lines_of([.[] | fold]) + "]"
	else $flat end;

# ---- frames ----

def key: "\(.conn)/\(.stream)";
def is_read: .method == "ReadStdout" or .method == "ReadStderr";
def stream_key: "\(.conn) \(.payload.container_id) \(.payload.exec_id // "") \(.method)";
def process_key: "\(.payload.container_id) \(.payload.exec_id // "")";
# The data of a response to a read, or its beginning.
def chunk: (.payload.data // "") | if type == "object"
	then { bytes: .bytes, text: (.first64 | @base64d) } else { bytes: (@base64d | utf8bytelength), text: @base64d } end;
def printable: test("^[^\u0000\ufffd]+$");

def manner:
	(if .conn == 1 then "" else "@\(.conn) " end)
	+ (if .timeout_nano then "\(.timeout_nano | tonumber / 1e9 | ceil)s " else "" end)
	+ ((.metadata // []) | map("\(.[0])=\(.[1]) ") | join(""))
	# The length differs from that on the wire if the recording has /host in place of a longer
	# name.
	+ (. as $f | if any(rules[$scenario].replace[]?, ["/host/"]; .[0] as $from | $f.payload | tojson | contains($from)) then ""
		else "+\(.length) " end);
def request: manner + .method + " " + (.payload | fold);

# The text that clients compare, or show.
def failure:
	(.message // "" | split("\n")[0]) as $text
	| ([$text | match("Failed to find the storage handler .*|the file .* was not found|Link not found|is blocked by policy|no tty|not found")
		| .string][0] // "") as $part
	| (.code | code_name) + (if $part == "" then "" else " " + $part end);

# The fields that clients look at, by method; null: none.
def wanted:
	if .method == "Check" then { status: .payload.status }
	elif .method == "Version" then { grpc_version: .payload.grpc_version, agent_version: "*" }
	elif .method == "GetGuestDetails" then { mem_block_size_bytes: "*", support_mem_hotplug_probe: "*",
		agent_details: { supports_seccomp: true } }
	elif .method == "WaitProcess" then { status: (.payload.status // 0) }
	elif .method == "WriteStdin" then { len: (.payload.len // 0) }
	elif is_read then { data: (.payload.data // "") }
	elif .method == "StatsContainer" then { cgroup_stats: {
		cpu_stats: { cpu_usage: { total_usage: ">" } },
		memory_stats: { usage: { usage: "*", limit: (.payload.cgroup_stats.memory_stats.usage.limit
			| if (. // "" | length) > 0 and (. | length) < 19 then . else "*" end) } } } }
	elif .method == "UpdateInterface" then .payload | { name, hwAddr }
	elif .method == "GetOOMEvent" then .payload
	elif .method == "GetDiagnosticData" then .payload
	elif .method == "GetVolumeStats" then { usage: [{ unit: "BYTES", total: ">", available: ">" }, { unit: "INODES" }] }
	elif .method == "GetMetrics" then { metrics: "~kata_agent_threads" }
	else null end;

# ---- conversion ----

.[0] as $head
| [.[1:][] | select(.cut | not)] as $records
| ($records | to_entries) as $all
# the index of each response, by connection and stream
| (reduce ($all[] | select(.value.dir == "<")) as $e ({}; .[$e.value | key] = $e.key)) as $answer_at
# processes with a terminal
| (reduce ($records[] | select(.dir == ">" and (.method == "CreateContainer" or .method == "ExecProcess"))) as $f ({};
	.[$f | process_key] = ($f.payload.process // $f.payload.OCI.Process | .Terminal // false))) as $is_tty
# the arguments of processes, for the rules
| (reduce ($records[] | select(.dir == ">" and (.method == "CreateContainer" or .method == "ExecProcess"))) as $f ({};
	.[$f | process_key] = ($f.payload.process // $f.payload.OCI.Process | .Args // [] | join(" ")))) as $args
# streams that are read repeatedly, to their end or until the client stops
| (reduce ($all[] | select(.value.dir == ">" and (.value | is_read))) as $e ({};
	.[$e.value | stream_key] += [$e.key])
	| with_entries(.value as $requests
		| ($answer_at[$records[$requests[-1]] | key]) as $last
		| select(($requests | length) > 1 or ($last and ($records[$last].code == 0) and ($records[$last] | chunk.bytes) == 0))
		| .value = {
			name: ((if ($records[$requests[0]].method) == "ReadStdout" then "out-" else "err-" end)
				+ (if $records[$requests[0]].conn == 1 then "" else "\($records[$requests[0]].conn)." end)
				+ "\($records[$requests[0]].stream)"),
			first: $requests[0], last_request: $requests[-1], last: $last,
			is_tty: $is_tty[$records[$requests[0]] | process_key],
			is_cut: (($last == null) or ($records[$last] | chunk.bytes) > 0),
			is_free: ($args[$records[$requests[0]] | process_key] as $a
				| any(rules[$scenario].free_output[]?; . as $re | $a // "" | test($re))),
			is_dropped: any($requests[] | $answer_at[$records[.] | key] | select(.) | $records[.] | chunk.text;
				. as $text | any(rules[$scenario].drop_text[]?; . as $re | $text | test($re))),
			bytes: ([$requests[] | $answer_at[$records[.] | key] | select(.) | $records[.] | chunk.bytes] | add // 0) }))
	as $streams
| (reduce ($all[] | select(.value.dir == ">" and (.value | is_read) and $streams[.value | stream_key])) as $e ({};
	.[$e.value | key] = ($e.value | stream_key))) as $stream_of

| def in_stream: . as $f | .dir and (is_read) and $stream_of[key];
def name: "\(.method)-" + (if .conn == 1 then "" else "\(.conn)." end) + "\(.stream)";
def skip_reason: .method as $m | (.payload | tojson) as $text
	| [rules[$scenario].skip[]? | . as $s | select(.method == $m and ($text | test($s.request // ""))) | .reason][0];
# the lines about the reply, after `call`
def succeeds: .method as $m | any(rules[$scenario].succeeds[]?; . == $m);
def reply_lines: if succeeds then [] elif .code != 0 then ["fails " + failure]
	else (wanted | if . then ["reply " + fold] else [] end) end;
# reads that end after the reply to CloseStdin
def stopped_by($close): [$streams[] | select(.is_cut and .last_request < $close)
	| . as $s | $records[$s.first] as $r
	| select(($r | process_key) == ($records[$close] | process_key) and $r.conn == $records[$close].conn) | "last \(.name)"];
# whether the reply is the next event
def is_call($at): $answer_at[$records[$at] | key] as $a
	| $a != null and all($records[$at + 1:$a][]; .note != null or in_stream or .event == "agent closed");
def closing($at): if $records[$at].method == "CloseStdin" then stopped_by($at) else [] end;
def tty_lines: [split("\n")[] | gsub("\r"; "") | select(test("^[ -~]{4,}$"))];
def stream_lines($s; $at):
	. as $f
	| (chunk) as $c
	| (if $c.bytes == 0 or $s.is_free or any(rules[$scenario].drop_text[]?; . as $re | $c.text | test($re)) or ($c.text | printable | not) then []
		elif $s.is_tty then $c.text | tty_lines | map("saw \($s.name) \(tojson)")
		else ["saw \($s.name) \($c.text | tojson)"] end)
	+ (if $at != $s.last then []
		elif $f.code != 0 then ["refused \($s.name) " + ($f | failure)]
		elif $s.is_cut and ([range(0; $at) | select($records[.].method == "CloseStdin" and $records[.].dir == ">"
			and ($records[.] | process_key) == ($records[$s.first] | process_key))] | length) > 0 then ["end \($s.name)"]
		elif $s.is_cut then []
		elif $s.is_tty or $s.is_free or $s.is_dropped then ["end \($s.name)"]
		else ["end \($s.name) \($s.bytes)"] end);

[ $all[] | .key as $at | .value | . as $f
| if .note then .note as $note | ["", "# --- " + (.note | gsub("/host/[^ \"]*"; "PATH"))]
	+ [rules[$scenario].host[]? | . as $h | select($note | test($h[0])) | "host " + $h[1]]
elif .event == "open" then ["open \(.conn)"]
elif .event == "client closed" then ["close \(.conn)"]
elif .dir == ">" and in_stream then
	$streams[$stream_of[key]] as $s | if $s.first == $at then ["read \($s.name) " + request] else [] end
elif .dir == "<" and in_stream then stream_lines($streams[$stream_of[key]]; $at)
elif .dir == ">" then
	(skip_reason | if . then ["skip " + .] else [] end)
	+ (if is_call($at) then ["call " + request] + ($records[$answer_at[key]] | reply_lines) + closing($at)
		else ["start \(name) " + request] end)
elif .dir == "<" then
	([$all[] | select(.value.dir == ">" and (.value | key) == ($f | key)) | .key][0]) as $req
	# Replies after the client has disconnected are not expected.
	| if $req == null or is_call($req) or any($records[$req:$at][]; .event == "client closed" and .conn == $f.conn) then []
	elif .code != 0 then ["refused \(name) " + failure]
	else ["answer \(name) " + (wanted // {} | fold)] + closing($req) end
else [] end
| .[] ]
| (reduce .[] as $l ([]; if .[-1] == $l and ($l | startswith("saw ")) then . else . + [$l] end)) as $lines

# ---- files prepared by the host ----
| "/run/kata-containers/shared/containers/" as $place
| ([$records[] | select(.dir == ">" and .method == "CreateContainer") | .payload]) as $creates
| ([$creates[].storages[]?.mount_point] + [$records[] | select(.dir == ">" and .method == "CopyFile") | .payload.path]) as $made
| ([$creates[] | (.storages[]? | select(.driver == "watchable-bind") | "dir " + .source),
	(.OCI | (.Root.Path // "" | select(startswith($place)) | "root " + .),
	(.Mounts[]? | .source // "" | select(startswith($place))
		| (if test("(hostname|hosts|resolv.conf|one)$") then "file " else "dir " end) + .))]
	| reduce .[] as $n ([]; if index([$n]) then . else . + [$n] end)
	| map(select(sub("^[a-z]+ "; "") as $p | any($made[]; . == $p) | not))
	# the content of files, also in directories
	| map(. as $n | [rules[$scenario].content[]? | . as $c | $n | select(test($c[0]))
			| sub(" .*"; "") as $kind | "file " + sub("^[a-z]+ "; "") + (if $kind == "dir" then "/" + $c[1] + " " + $c[2] else " " + $c[1] end)] as $files
		| if ($files | length) > 0 then $files[] else . end)) as $needs
| ([$records[] | select(.dir == ">" and .method == "UpdateInterface" and .payload.interface.hwAddr)
	| "nic " + .payload.interface.hwAddr]) as $nics
| (["# SPDX-License-Identifier: Apache-2.0",
	"# Made by tests/transcript/generate; do not edit. A recording of \($head.client), version \($head.version):",
	"# \($head.scenario)."]
	+ [if rules[$scenario].native then "#native" else "#vm" end]
	+ (($needs + ($nics | unique)) | map("#needs " + .))
	+ [rules[$scenario].notes[]? | "# " + .]
	+ $lines | join("\n")) + "\n"

# ---- times and random ids ----
| reduce (rules[$scenario].replace[]?) as $r (.; split($r[0]) | join($r[1]))
| def each($re; f): . as $text
	| (reduce ([match($re; "g").string])[] as $m ([]; if index([$m]) then . else . + [$m] end)) as $found
	| reduce range(0; $found | length) as $i ($text; split($found[$i]) | join($i + 1 | f));
def padded($width): "0" * $width + tostring | .[length - $width:];
each("(?!(.)\\1{63})[0-9a-f]{64}"; . as $n | "123456789abcdef"[($n - 1) % 15:][0:1] * 64)
| each("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"; "00000000-0000-4000-8000-" + padded(12))
| each("(?<=-)[0-9a-f]{16}(?=-[a-z])"; padded(16))
| each("(?<=traceparent=00-)[0-9a-f]{32}"; padded(32))
| each("(?<=-)[0-9a-f]{16}(?=-01 )"; padded(16))
| each("(?!02:00:00)[0-9a-f]{2}(:[0-9a-f]{2}){5}"; "02:00:00:00:00:" + padded(2))
| each("fe80::[0-9a-f]{4}(:[0-9a-f]{4}){3}"; "fe80::0200:00ff:fe00:00" + padded(2))
