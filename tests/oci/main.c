/* SPDX-License-Identifier: Apache-2.0 */
/* Command line of the oci suite. See oci.h and tests/oci/run. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oci/suite.h"

static const char usage[] =
	"usage: oci-suite [ADDRESS] [--only TEXT]… [--without TEXT]… [--ignore FIELD]\n"
	"                 [--rows FILE]\n"
	"       oci-suite --list | --fields | --has-field FIELD\n"
	"Without ADDRESS, starts an agent on this machine ($AGENT, $AGENT_LOG, "
	"$ROOTFS). ADDRESS is\n"
	"that of a VM started by tatamictl boot: $ROOTFS is its root file system, "
	"$GUEST_ROOTFS the\n"
	"same in the guest, $ROOTFS_CACHE_MS the time for which the guest may not see changes "
	"there.\n"
	"  --only TEXT        run only cases whose name or field contains TEXT\n"
	"  --without TEXT     skip cases whose name or field equals TEXT\n"
	"  --ignore FIELD     make the agent (a test build) ignore this field\n"
	"  --rows FILE        lines of FIELD<tab>CASE: each case must fail with its field ignored\n"
	"  --list             print field and name of each case\n"
	"  --fields           print every field of the spec\n"
	"  --has-field FIELD  succeed if the field exists\n";

static int
bad_usage(void)
{
	(void)fputs(usage, stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	struct suite_options o = { 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--fields") == 0) {
			suite_fields();
			return 0;
		}
		if (strcmp(argv[i], "--has-field") == 0 && value)
			return !suite_has_field(value);
		if (strcmp(argv[i], "--list") == 0) {
			suite_list();
			return 0;
		}
		if (argv[i][0] != '-' && !o.address) {
			o.address = argv[i];
			continue;
		}
		if (!value)
			return bad_usage();
		if (strcmp(argv[i], "--only") == 0 && o.n_only < SUITE_ONLY_MAX)
			o.only[o.n_only++] = value;
		else if (strcmp(argv[i], "--without") == 0 && o.n_without < SUITE_ONLY_MAX)
			o.without[o.n_without++] = value;
		else if (strcmp(argv[i], "--ignore") == 0)
			o.ignore = value;
		else if (strcmp(argv[i], "--rows") == 0)
			o.rows = value;
		else
			return bad_usage();
		i++;
	}
	return suite_run(&o);
}
