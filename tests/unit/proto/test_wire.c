/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the generated descriptors with the tables of the protocol (tests/data/wire) in both
 * directions: a field, enumeration value or method on only one side fails, and so does any
 * difference.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "lib/pbfield.h"
#include "tests/support/check.h"

#define COLUMNS_MAX 5
#define ROWS_MAX    512
#define TYPES_MAX   160

struct table {
	char *text;
	char *cell[ROWS_MAX][COLUMNS_MAX];
	size_t n;
};

/* Every message and enumeration that the services can reach. */
struct types {
	const ProtobufCMessageDescriptor *message[TYPES_MAX];
	size_t n_messages;
	const ProtobufCEnumDescriptor *enumeration[TYPES_MAX];
	size_t n_enums;
};

static const ProtobufCServiceDescriptor *const services[] = {
	&grpc__agent_service__descriptor,
	&grpc__health__descriptor,
};

static struct table messages, enums, methods;
static struct types types;

/* Tab-separated, first line is the heading, empty cells allowed. */
static void
table_read(struct table *t, const char *path)
{
	FILE *f = fopen(path, "re");
	size_t size = 0;
	char *line, *next;

	REQUIRE(f, "open %s", path);
	REQUIRE_GT(getdelim(&t->text, &size, '\0', f), 0, "read %s", path);
	fclose(f);
	line = strchr(t->text, '\n');
	for (; line && *++line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next = '\0';
		REQUIRE_LT(t->n, ROWS_MAX);
		for (int c = 0; c < COLUMNS_MAX; c++)
			t->cell[t->n][c] = line ? strsep(&line, "\t") : line;
		t->n++;
	}
}

static void
types_add(const ProtobufCMessageDescriptor *m)
{
	for (size_t i = 0; i < types.n_messages; i++)
		if (types.message[i] == m)
			return;
	REQUIRE_LT(types.n_messages, TYPES_MAX);
	types.message[types.n_messages++] = m;
	for (unsigned i = 0; i < m->n_fields; i++) {
		size_t e = 0;

		if (m->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			types_add(m->fields[i].descriptor);
		if (m->fields[i].type != PROTOBUF_C_TYPE_ENUM)
			continue;
		while (e < types.n_enums && types.enumeration[e] != m->fields[i].descriptor)
			e++;
		if (e == types.n_enums)
			types.enumeration[types.n_enums++] = m->fields[i].descriptor;
	}
}

static void
setup(void)
{
	table_read(&messages, TEST_DATA "/wire/messages.tsv");
	table_read(&enums, TEST_DATA "/wire/enums.tsv");
	table_read(&methods, TEST_DATA "/wire/services.tsv");
	for (size_t s = 0; s < sizeof(services) / sizeof(services[0]); s++) {
		for (unsigned i = 0; i < services[s]->n_methods; i++) {
			types_add(services[s]->methods[i].input);
			types_add(services[s]->methods[i].output);
		}
	}
}

static void
teardown(void)
{
	free(messages.text);
	free(enums.text);
	free(methods.text);
}

TestSuite(wire, .init = setup, .fini = teardown);

static const char *
type_name(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
		return "int32";
	case PROTOBUF_C_TYPE_INT64:
		return "int64";
	case PROTOBUF_C_TYPE_UINT32:
		return "uint32";
	case PROTOBUF_C_TYPE_UINT64:
		return "uint64";
	case PROTOBUF_C_TYPE_BOOL:
		return "bool";
	case PROTOBUF_C_TYPE_STRING:
		return "string";
	case PROTOBUF_C_TYPE_BYTES:
		return "bytes";
	case PROTOBUF_C_TYPE_ENUM:
		return ((const ProtobufCEnumDescriptor *)f->descriptor)->name;
	case PROTOBUF_C_TYPE_MESSAGE:
		return ((const ProtobufCMessageDescriptor *)f->descriptor)->name;
	default:
		return "a type that the tables do not have";
	}
}

/* Type and label of a field, in the words of the tables. */
static void
describe(const ProtobufCMessageDescriptor *m, const ProtobufCFieldDescriptor *f, char type[128],
	 char label[32])
{
	bool alone = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;

	if (pbfield_is_map(f)) {
		const ProtobufCMessageDescriptor *entry = f->descriptor;

		snprintf(type, 128, "map<%s,%s>", type_name(&entry->fields[0]),
			 type_name(&entry->fields[1]));
		label[0] = '\0';
		return;
	}
	snprintf(type, 128, "%s", type_name(f));
	/* A oneof with other members in it would not be the `optional` of the tables. */
	for (unsigned i = 0; alone && i < m->n_fields; i++)
		if (&m->fields[i] != f && m->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
		    m->fields[i].quantifier_offset == f->quantifier_offset)
			alone = false;
	snprintf(label, 32, "%s",
		 f->label == PROTOBUF_C_LABEL_REPEATED ? "repeated"
		 : alone                               ? "presence"
						       : "");
}

static bool
is_entry_of_some_map(const ProtobufCMessageDescriptor *entry)
{
	for (size_t i = 0; i < types.n_messages; i++)
		for (unsigned j = 0; j < types.message[i]->n_fields; j++)
			if (types.message[i]->fields[j].descriptor == entry &&
			    pbfield_is_map(&types.message[i]->fields[j]))
				return true;
	return false;
}

static const ProtobufCMessageDescriptor *
message_find(const char *name)
{
	for (size_t i = 0; i < types.n_messages; i++)
		if (strcmp(types.message[i]->name, name) == 0)
			return types.message[i];
	return NULL;
}

/* The row of a message's field, or (field NULL) the row that says that it has none. */
static bool
table_has_field(const char *message, const char *field)
{
	for (size_t i = 0; i < messages.n; i++)
		if (strcmp(messages.cell[i][0], message) == 0 &&
		    strcmp(messages.cell[i][4], field ? field : "") == 0)
			return true;
	return false;
}

Test(wire, every_row_is_in_the_descriptors)
{
	size_t n_fields = 0;

	for (size_t i = 0; i < messages.n; i++) {
		char *const *row = messages.cell[i];
		const ProtobufCMessageDescriptor *m = message_find(row[0]);
		const ProtobufCFieldDescriptor *f;
		char type[128], label[32];
		const char *want = row[2];

		REQUIRE(m, "no message %s", row[0]);
		if (!*row[1]) {
			REQUIRE_EQ(m->n_fields, 0, "%s should be empty", row[0]);
			continue;
		}
		f = protobuf_c_message_descriptor_get_field_by_name(m, row[4]);
		REQUIRE(f, "no field %s.%s", row[0], row[4]);
		REQUIRE_EQ(f->id, (uint32_t)atoi(row[1]), "%s.%s has number %u", row[0], row[4],
			   f->id);
		describe(m, f, type, label);
		REQUIRE_STR(type, row[3], "%s.%s is %s", row[0], row[4], type);
		if (strcmp(want, "optional") == 0 || strncmp(want, "oneof:", 6) == 0)
			want = "presence";
		REQUIRE_STR(label, want, "%s.%s is '%s'", row[0], row[4], label);
		n_fields++;
	}
	fprintf(stderr, "# %zu fields of the tables found\n", n_fields);
	REQUIRE_GT(n_fields, 300);
}

Test(wire, every_field_is_in_the_tables)
{
	size_t n = 0, n_fields = 0;

	for (size_t i = 0; i < types.n_messages; i++) {
		const ProtobufCMessageDescriptor *m = types.message[i];

		if (is_entry_of_some_map(m))
			continue;
		n++;
		n_fields += m->n_fields;
		if (m->n_fields == 0)
			REQUIRE(table_has_field(m->name, NULL), "%s is not listed", m->name);
		for (unsigned j = 0; j < m->n_fields; j++)
			REQUIRE(table_has_field(m->name, m->fields[j].name), "%s.%s is not listed",
				m->name, m->fields[j].name);
	}
	fprintf(stderr, "# %zu messages, %zu fields generated\n", n, n_fields);
}

Test(wire, enumerations)
{
	size_t n = 0;

	for (size_t i = 0; i < enums.n; i++) {
		const ProtobufCEnumValue *value = NULL;

		for (size_t j = 0; j < types.n_enums; j++)
			if (strcmp(types.enumeration[j]->name, enums.cell[i][0]) == 0)
				value = protobuf_c_enum_descriptor_get_value_by_name(
					types.enumeration[j], enums.cell[i][2]);
		REQUIRE(value, "no %s.%s", enums.cell[i][0], enums.cell[i][2]);
		REQUIRE_EQ(value->value, atoi(enums.cell[i][1]), "%s.%s", enums.cell[i][0],
			   enums.cell[i][2]);
	}
	for (size_t j = 0; j < types.n_enums; j++)
		n += types.enumeration[j]->n_values;
	REQUIRE_EQ(n, enums.n, "%zu values generated, %zu listed", n, enums.n);
	fprintf(stderr, "# %zu enumerations, %zu values\n", types.n_enums, n);
}

Test(wire, services)
{
	size_t n = 0;

	for (size_t i = 0; i < methods.n; i++) {
		char *const *row = methods.cell[i];
		const ProtobufCMethodDescriptor *method = NULL;

		for (size_t s = 0; s < sizeof(services) / sizeof(services[0]); s++)
			if (strcmp(services[s]->name, row[0]) == 0)
				method = protobuf_c_service_descriptor_get_method_by_name(
					services[s], row[1]);
		REQUIRE(method, "no method %s/%s", row[0], row[1]);
		REQUIRE_STR(method->input->name, row[2], "request of %s", row[1]);
		REQUIRE_STR(method->output->name, row[3], "response of %s", row[1]);
	}
	for (size_t s = 0; s < sizeof(services) / sizeof(services[0]); s++)
		n += services[s]->n_methods;
	REQUIRE_EQ(n, methods.n, "%zu methods generated, %zu listed", n, methods.n);
	REQUIRE_EQ(grpc__agent_service__descriptor.n_methods, 42);
	REQUIRE_EQ(grpc__health__descriptor.n_methods, 2);
	fprintf(stderr, "# %zu methods\n", n);
}
