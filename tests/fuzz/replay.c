/* SPDX-License-Identifier: Apache-2.0 */
/* main() of a target without libFuzzer: runs it with each file of the command line. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/target.h"

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "re");
		uint8_t *data = NULL;
		size_t n = 0, got = 0;

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		do {
			n += got;
			data = realloc(data, n + 65536);
			if (!data)
				return 1;
			got = fread(data + n, 1, 65536, f);
		} while (got > 0);
		fclose(f);
		/* An exact allocation, so that the sanitizers detect reads past the end. */
		data = realloc(data, n ? n : 1);
		LLVMFuzzerTestOneInput(data, n);
		free(data);
	}
	fprintf(stderr, "%d inputs\n", argc - 1);
	return 0;
}
