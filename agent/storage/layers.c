/* SPDX-License-Identifier: Apache-2.0 */
/* Plans the storages of a root in layers. */
#include "agent/storage/layers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/roots.h"
#include "agent/storage/driver.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

#define UPPER_OPTION "X-kata.overlay-upper"
#define LOWER_OPTION "X-kata.overlay-lower"
#define MKDIR_OPTION "X-kata.mkdir.path="

/* The layers of a request, as the host describes them. */
struct layer_set {
	const struct storage_spec *upper;
	/* In the order of the overlay: the top one first. */
	const struct storage_spec **lowers;
	size_t n_lowers;
	/* Each is a partition of a disk, and their numbers give the order. */
	bool is_partitioned;
};

static int layers_sort(struct layer_set *set, const struct storage_spec *specs, size_t n,
		       struct error *err);
static int layers_add_disk(struct storage_layers *plan, const struct storage_spec *layer,
			   const char *mount_point, bool is_upper, struct error *err);
static int layers_add_overlay(struct storage_layers *plan, const char *owner,
			      const struct layer_set *set, const struct storage_spec *specs,
			      size_t n, struct error *err);

bool
storage_is_layer(const struct storage_spec *spec)
{
	return strcmp(spec->driver, "erofs.multi-layer") == 0 ||
	       storage_has_option(spec, "X-kata.multi-layer=true");
}

const struct storage_driver storage_layers_driver = { .name = "erofs.multi-layer" };

/* Takes over a block of memory. Returns it, or NULL and err. */
static void *
layers_keep(struct storage_layers *plan, void *block, struct error *err)
{
	if (block && plan->n_memory < plan->memory_size)
		return plan->memory[plan->n_memory++] = block;
	free(block);
	error_nomem(err, "planning the layers of a root file system");
	return NULL;
}

static char *__attribute__((format(printf, 3, 4)))
layers_text(struct storage_layers *plan, struct error *err, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return layers_keep(plan, text, err);
}

int
storage_layers_plan(struct storage_layers *plan, const char *owner,
		    const struct storage_spec *specs, size_t n, struct error *err)
{
	auto_free const struct storage_spec **lowers = calloc(n + 1, sizeof(*lowers));
	struct layer_set set = { .lowers = lowers };
	size_t words = 0, layers = 0;

	*plan = (struct storage_layers){ 0 };
	for (size_t i = 0; i < n; i++) {
		layers += storage_is_layer(&specs[i]);
		words += specs[i].n_options;
	}
	if (layers == 0)
		return 0;
	/* For each layer a mount point and a list, and a few texts of the overlay. */
	plan->memory_size = 2 * layers + words + 16;
	plan->memory = calloc(plan->memory_size, sizeof(*plan->memory));
	plan->specs = calloc(layers + 1, sizeof(*plan->specs));
	if (!plan->memory || !plan->specs || !lowers)
		return error_nomem(err, "planning the layers of a root file system");
	if (!*owner)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "layers of a root file system require a container");
	if (layers_sort(&set, specs, n, err) < 0)
		return -1;
	for (size_t i = 0; i < set.n_lowers; i++) {
		char *at = layers_text(plan, err, RUN_DIR "/%s/multi-layer/lower-%zu", owner, i);

		if (!at || layers_add_disk(plan, set.lowers[i], at, false, err) < 0)
			return -1;
	}
	if (set.upper) {
		char *at = layers_text(plan, err, RUN_DIR "/%s/multi-layer/upper", owner);

		if (!at || layers_add_disk(plan, set.upper, at, true, err) < 0)
			return -1;
	}
	return layers_add_overlay(plan, owner, &set, specs, n, err);
}

void
storage_layers_release(struct storage_layers *plan)
{
	for (size_t i = 0; i < plan->n_memory; i++)
		free(plan->memory[i]);
	free(plan->memory);
	free(plan->specs);
	*plan = (struct storage_layers){ 0 };
}

static uint32_t
partition_of(const struct storage_spec *spec)
{
	const char *text = storage_option(spec, "X-kata.partition-number");
	uint32_t number = 0;

	return text && parse_u32(text, &number) ? number : 0;
}

/* Tells upper and lower layers apart. Lower ones keep the order of the request, or are sorted by
 * their partitions. */
static int
layers_sort(struct layer_set *set, const struct storage_spec *specs, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct storage_spec *spec = &specs[i];

		if (!storage_is_layer(spec))
			continue;
		if (storage_has_option(spec, UPPER_OPTION)) {
			if (set->upper)
				return error_set(
					err, ERROR_INVALID_ARGUMENT,
					"storage %s has more than one layer with " UPPER_OPTION,
					spec->mount_point);
			set->upper = spec;
			continue;
		}
		if (!storage_has_option(spec, LOWER_OPTION) && strcmp(spec->fstype, "erofs") != 0)
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"storage %s has a layer (source %.64s) that is neither upper nor "
				"lower",
				spec->mount_point, spec->source);
		if (storage_has_option(spec, "X-kata.gpt-partitioned=true"))
			set->is_partitioned = true;
		set->lowers[set->n_lowers++] = spec;
	}
	if (set->n_lowers == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s has no layer with " LOWER_OPTION,
				 set->upper ? set->upper->mount_point : "");
	/* An insertion sort, which is stable. */
	for (size_t i = 1; set->is_partitioned && i < set->n_lowers; i++) {
		const struct storage_spec *spec = set->lowers[i];
		size_t at = i;

		for (; at > 0 && partition_of(set->lowers[at - 1]) > partition_of(spec); at--)
			set->lowers[at] = set->lowers[at - 1];
		set->lowers[at] = spec;
	}
	return 0;
}

/* Adds the storage of one layer's disk. */
static int
layers_add_disk(struct storage_layers *plan, const struct storage_spec *layer,
		const char *mount_point, bool is_upper, struct error *err)
{
	struct storage_spec *spec = &plan->specs[plan->n];
	const char **options =
		layers_keep(plan, calloc(layer->n_options + 1, sizeof(*options)), err);

	if (!options)
		return -1;
	*spec = *layer;
	spec->options = options;
	spec->n_options = 0;
	for (size_t i = 0; i < layer->n_options; i++) {
		const char *option = layer->options[i];

		/* The device is a whole disk or a partition in the guest. */
		if (strcmp(option, "loop") != 0 && strcmp(option, "rw") != 0)
			options[spec->n_options++] = option;
	}
	if (!is_upper && !storage_has_option(layer, "ro"))
		options[spec->n_options++] = "ro";
	if (strcmp(spec->driver, "erofs.multi-layer") == 0)
		spec->driver = "blk";
	if (!*spec->fstype)
		spec->fstype = is_upper ? "ext4" : "erofs";
	spec->mount_point = mount_point;
	spec->shared = false;
	spec->has_fs_group = false;
	plan->n++;
	return 0;
}

/* Returns the driver option that creates the directory of a MKDIR_OPTION, NULL and err on
 * failure. Its path begins with "{{ mount 0 }}", the upper layer, or "{{ mount 1 }}", the first
 * lower one; what follows a colon (modes and owners) is ignored. */
static char *
layers_mkdir(struct storage_layers *plan, const char *owner, const char *text, struct error *err)
{
	static const char *const mounts[] = { "{{ mount 0 }}", "{{ mount 1 }}" };
	static const char *const names[] = { "upper", "lower-0" };

	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		size_t len = strlen(mounts[i]);

		if (strncmp(text, mounts[i], len) != 0 || text[len] != '/')
			continue;
		return layers_text(plan, err,
				   OVERLAY_CREATE_OPTION RUN_DIR "/%s/multi-layer/%s%.*s", owner,
				   names[i], (int)strcspn(text + len, ":"), text + len);
	}
	error_set(err, ERROR_INVALID_ARGUMENT,
		  "invalid " MKDIR_OPTION
		  "%.128s: must begin with {{ mount 0 }}/ or {{ mount 1 }}/",
		  text);
	return NULL;
}

static int
layers_add_overlay(struct storage_layers *plan, const char *owner, const struct layer_set *set,
		   const struct storage_spec *specs, size_t n, struct error *err)
{
	struct storage_spec *spec = &plan->specs[plan->n];
	const struct storage_spec *first = set->upper ? set->upper : set->lowers[0];
	const char **options = layers_keep(plan, calloc(3, sizeof(*options)), err);
	const char **directories;
	size_t size = sizeof("lowerdir="), used, words = 2;
	char *lower;

	for (size_t i = 0; i < set->n_lowers; i++)
		size += strlen(plan->specs[i].mount_point) + 1;
	for (size_t i = 0; i < n; i++)
		words += specs[i].n_options;
	lower = options ? layers_keep(plan, malloc(size), err) : NULL;
	directories = lower ? layers_keep(plan, calloc(words, sizeof(*directories)), err) : NULL;
	if (!directories)
		return -1;
	used = (size_t)snprintf(lower, size, "lowerdir=");
	for (size_t i = 0; i < set->n_lowers; i++)
		used += (size_t)snprintf(lower + used, size - used, "%s%s", i ? ":" : "",
					 plan->specs[i].mount_point);
	*spec = (struct storage_spec){
		.driver = "overlayfs",
		.source = "overlay",
		.fstype = "overlay",
		.mount_point = first->mount_point,
		.options = options,
		.driver_options = directories,
	};
	options[spec->n_options++] = lower;
	if (set->upper) {
		static const char *const names[] = { "upper", "work" };
		char *made;

		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			char *option =
				layers_text(plan, err, "%sdir=" RUN_DIR "/%s/multi-layer/upper/%s",
					    names[i], owner, names[i]);

			if (!option)
				return -1;
			options[spec->n_options++] = option;
			made = layers_text(plan, err, OVERLAY_CREATE_OPTION "%s",
					   strchr(option, '=') + 1);
			if (!made)
				return -1;
			directories[spec->n_driver_options++] = made;
		}
	} else {
		options[spec->n_options++] = OVERLAY_RW_OPTION;
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; storage_is_layer(&specs[i]) && j < specs[i].n_options; j++) {
			const char *option = specs[i].options[j];
			char *made;

			if (strncmp(option, MKDIR_OPTION, strlen(MKDIR_OPTION)) != 0)
				continue;
			made = layers_mkdir(plan, owner, option + strlen(MKDIR_OPTION), err);
			if (!made)
				return -1;
			directories[spec->n_driver_options++] = made;
		}
	}
	plan->n++;
	return 0;
}
