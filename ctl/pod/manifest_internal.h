/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of reading a pod's description. */
#pragma once

#include "ctl/pod/manifest.h"
#include "ctl/pod/objects.h"

struct manifest_reader {
	struct field_reader r;
	struct manifest *m;
	struct objects objects;
	const struct manifest_guest *guest;
	/* labels or annotations are used */
	bool has_used_labels, has_used_annotations;
	/* labels and annotations with those that a controller adds, NULL: none are added */
	const struct yaml_node *maps[2];
};

/* The words for an enum image_pull. */
#define MANIFEST_PULLS 3
extern const char *const manifest_pulls[MANIFEST_PULLS];

/* One of "fieldRef", "resourceFieldRef": returns the text that it stands for, or NULL and the
 * error. */
const char *manifest_field_ref(struct manifest_reader *m, const struct field *ref);
const char *manifest_resource_ref(struct manifest_reader *m, const struct field *ref,
				  const struct manifest_container *c);

/* Reads an element of spec.volumes. The containers' resources are known. */
int manifest_read_volume(struct manifest_reader *m, const struct field *f,
			 struct manifest_volume *v);

/* Reads a hostPath, also that of a PersistentVolume. */
int manifest_read_host_path(struct manifest_reader *m, const struct field *f,
			    struct manifest_volume *v);

/* Reads a persistentVolumeClaim. */
int manifest_read_claim(struct manifest_reader *m, const struct field *f,
			struct manifest_volume *v);

/* Adds the volumes of a StatefulSet's volumeClaimTemplates. */
int manifest_read_claim_templates(struct manifest_reader *m);

/* Records the claims and volumes that nothing uses as ignored. */
int manifest_ignore_claims(struct manifest_reader *m);

/* Reads env and envFrom of a container. */
int manifest_read_env(struct manifest_reader *m, const struct field *container,
		      struct manifest_container *c);

/* Reads a container's probes and lifecycle, whose ports may be names in its list of ports. */
int manifest_read_probes(struct manifest_reader *m, const struct field *container,
			 struct manifest_container *c);

/* Reads the fields of a Job, and adds the labels of its pods. Sets the pod's name. */
int manifest_read_job(struct manifest_reader *m);

/* Reads the pod's names, dnsConfig, and hostAliases of its spec. */
int manifest_read_hostname(struct manifest_reader *m, const struct field *spec);
int manifest_read_dns(struct manifest_reader *m, const struct field *spec);
int manifest_read_aliases(struct manifest_reader *m, const struct field *spec);

/* Reads the security context of the pod. */
int manifest_read_pod_security(struct manifest_reader *m, const struct field *security);

/* Reads the security context of a container, for which that of the pod is the default. */
int manifest_read_security(struct manifest_reader *m, const struct field *pod_security,
			   const struct field *container, struct manifest_container *c);
