/* SPDX-License-Identifier: Apache-2.0 */
/* `tatamictl rpc`: any method of the protocol, by hand. */
#pragma once

/* argv[0] is "rpc". The exit code: 0 answered with success, 1 with an error status, 2 usage (also a bad
 * JSON document), 125 no connection, or it broke. */
int cmd_rpc(int argc, char **argv);
