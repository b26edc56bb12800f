/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: always valid JSON, bounded, not lost while there is room, losses counted. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "lib/log.h"
#include "lib/log_event.h"
#include "tests/support/check.h"

struct sink {
	char text[256 << 10];
	size_t len, lines;
	bool blocked;
};

static bool
take(const char *line, size_t len, void *data)
{
	struct sink *s = data;

	if (s->blocked)
		return false;
	if (s->len + len < sizeof(s->text)) {
		memcpy(s->text + s->len, line, len);
		s->len += len;
	}
	s->lines++;
	return true;
}

static struct sink *
new_sink(void)
{
	struct sink *s = calloc(1, sizeof(*s));

	log_set_sink(take, s);
	log_set_level(LOG_LEVEL_INFO);
	return s;
}

Test(log, lines_are_json_with_the_keys_that_hosts_read)
{
	struct sink *s = new_sink();
	const struct log_field fields[] = { { "container", "c\"1\\\n\x01" } };
	json_t *j;

	log_write(LOG_LEVEL_WARN, "sandbox", fields, 1, "it \"broke\"\t%d%%\xff", 7);
	j = json_loads(s->text, 0, NULL);
	REQUIRE(j, "%s", s->text);
	REQUIRE_STR(json_string_value(json_object_get(j, "level")), "WARN");
	REQUIRE_STR(json_string_value(json_object_get(j, "subsystem")), "sandbox");
	REQUIRE_STR(json_string_value(json_object_get(j, "source")), "agent");
	REQUIRE_STR(json_string_value(json_object_get(j, "container")), "c\"1\\\n\x01");
	REQUIRE_HAS(json_string_value(json_object_get(j, "msg")), "it \"broke\"\t7%");
	REQUIRE(json_object_get(j, "ts"));
	REQUIRE(json_object_get(j, "pid"));
	json_decref(j);
	free(s);
}

static const char *
text_of(json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text ? text : "(none)";
}

/* Parses the last line of a sink. */
static json_t *
last_record(struct sink *s)
{
	json_t *j;

	s->text[s->len] = '\0';
	j = json_loads(s->text, JSON_REJECT_DUPLICATES, NULL);
	REQUIRE(j, "%s", s->text);
	s->len = 0;
	return j;
}

Test(log, an_event_has_a_name_and_fields)
{
	struct sink *s = new_sink();
	const struct log_field field = { "cause", "asked" };
	json_t *j;

	log_event(LOG_LEVEL_INFO, "init", EVENT_POWER_OFF, &field, 1, "bye %d", 7);
	j = last_record(s);
	CHECK_STR(text_of(j, "event"), "power-off");
	CHECK_STR(text_of(j, "cause"), "asked");
	CHECK_STR(text_of(j, "msg"), "bye 7");
	json_decref(j);
	log_event(LOG_LEVEL_DEBUG, "init", EVENT_POWER_OFF, NULL, 0, "quiet");
	CHECK_EQ(s->len, 0);
	free(s);
}

Test(log, a_context_is_in_every_record)
{
	struct sink *s = new_sink();
	const struct log_context c = { .method = "ExecProcess",
				       .container_id = "web",
				       .exec_id = "e\"1" };
	const struct log_context other = { .method = "CreateSandbox", .sandbox = "new" };
	const struct log_field own = { "container-id", "other" };
	json_t *j;

	log_info("x", "before");
	j = last_record(s);
	CHECK_EQ(json_object_get(j, "method"), NULL);
	CHECK_EQ(json_object_get(j, "sandbox"), NULL);
	json_decref(j);

	log_set_sandbox("pod");
	CHECK_EQ(log_context_set(&c), NULL);
	log_info("x", "within");
	j = last_record(s);
	CHECK_STR(text_of(j, "sandbox"), "pod");
	CHECK_STR(text_of(j, "method"), "ExecProcess");
	CHECK_STR(text_of(j, "container-id"), "web");
	CHECK_STR(text_of(j, "exec-id"), "e\"1");
	json_decref(j);

	/* Each key occurs once, and the value of the record takes precedence. */
	log_write(LOG_LEVEL_INFO, "x", &own, 1, "own");
	j = last_record(s);
	CHECK_STR(text_of(j, "container-id"), "other");
	json_decref(j);

	CHECK_EQ(log_context_set(&other), &c);
	log_info("x", "another");
	j = last_record(s);
	CHECK_STR(text_of(j, "sandbox"), "new");
	CHECK_STR(text_of(j, "exec-id"), "(none)");
	json_decref(j);

	CHECK_EQ(log_context_set(NULL), &other);
	log_set_sandbox(NULL);
	log_info("x", "after");
	j = last_record(s);
	CHECK_EQ(json_object_get(j, "method"), NULL);
	CHECK_EQ(json_object_get(j, "sandbox"), NULL);
	json_decref(j);
	free(s);
}

Test(log, a_copied_context_outlives_its_call)
{
	struct sink *s = new_sink();
	char id[4096];
	struct log_context c = { .method = "ExecProcess", .container_id = "web", .exec_id = id };
	struct log_context *copy;
	json_t *j;

	CHECK_EQ(log_context_copy(), NULL);
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	(void)log_context_set(&c);
	copy = log_context_copy();
	REQUIRE(copy);
	memset(id, 'y', sizeof(id) - 1);
	memset(&c, 0xff, sizeof(c));
	(void)log_context_set(copy);
	log_info("x", "later");
	j = last_record(s);
	CHECK_STR(text_of(j, "method"), "ExecProcess");
	CHECK_STR(text_of(j, "container-id"), "web");
	CHECK_EQ(strlen(text_of(j, "exec-id")), LOG_CONTEXT_VALUE_MAX);
	CHECK_EQ(strspn(text_of(j, "exec-id"), "x"), LOG_CONTEXT_VALUE_MAX);
	CHECK_EQ(json_object_get(j, "sandbox"), NULL);
	json_decref(j);
	log_context_free(copy);
	CHECK_EQ(log_context_set(NULL), NULL, "a context that is gone is current");
	free(s);
}

/* Values chosen by a client do not displace other keys of the record. */
Test(log, a_huge_context_leaves_room)
{
	struct sink *s = new_sink();
	char id[4096], big[3000];
	const struct log_context c = { .method = id, .container_id = id, .exec_id = id };
	const struct log_field own = { "code", "INTERNAL" };
	json_t *j;

	memset(id, '\x01', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	memset(big, 'm', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)log_context_set(&c);
	log_write(LOG_LEVEL_INFO, "x", &own, 1, "%.1000s", big);
	j = last_record(s);
	CHECK_STR(text_of(j, "code"), "INTERNAL");
	CHECK_EQ(strlen(text_of(j, "exec-id")), LOG_CONTEXT_VALUE_MAX);
	json_decref(j);
	(void)log_context_set(NULL);
	free(s);
}

Test(log, huge_text_is_cut_and_still_json)
{
	struct sink *s = new_sink();
	char *big = malloc(20000);
	struct log_field fields[] = { { "a", big }, { "b", big } };
	json_t *j;

	memset(big, '"', 19999);
	big[19999] = '\0';
	log_write(LOG_LEVEL_ERROR, "x", fields, 2, "%s", big);
	REQUIRE_EQ(s->lines, 1);
	j = json_loads(s->text, 0, NULL);
	REQUIRE(j, "%s", s->text);
	json_decref(j);
	free(big);
	free(s);
}

Test(log, a_blocked_sink_loses_nothing_until_the_ring_is_full)
{
	struct sink *s = new_sink();

	s->blocked = true;
	for (int i = 0; i < 20; i++)
		log_info("x", "line %d", i);
	REQUIRE_EQ(s->lines, 0);
	s->blocked = false;
	REQUIRE(log_flush());
	REQUIRE_EQ(s->lines, 20);
	REQUIRE_HAS(s->text, "line 0\"");
	REQUIRE_HAS(s->text, "line 19\"");
	REQUIRE_EQ(log_dropped(), 0);
	free(s);
}

Test(log, losses_are_counted_and_told)
{
	struct sink *s = new_sink();
	char count[48];

	s->blocked = true;
	for (int i = 0; i < 5000; i++)
		log_info("x", "line %d", i);
	REQUIRE_GT(log_dropped(), 1000);
	s->blocked = false;
	REQUIRE(log_flush());
	(void)snprintf(count, sizeof(count), "\"lines\":\"%llu\"",
		       (unsigned long long)log_dropped());
	REQUIRE_HAS(s->text, "\"event\":\"" EVENT_LINES_DROPPED "\"");
	REQUIRE_HAS(s->text, count);
	REQUIRE_EQ(s->lines, 5000 - log_dropped() + 1);
	free(s);
}

Test(log, levels)
{
	struct sink *s = new_sink();
	enum log_level level;

	log_debug("x", "quiet");
	REQUIRE_EQ(s->lines, 0);
	REQUIRE(log_level_parse("warning", &level) && level == LOG_LEVEL_WARN);
	REQUIRE(log_level_parse("panic", &level) && level == LOG_LEVEL_CRIT);
	REQUIRE(!log_level_parse("loud", &level));
	free(s);
}
