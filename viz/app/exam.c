/* SPDX-License-Identifier: MIT */
/*
 * Exam: what will the next instruction make of a register? The reader says it, the
 * instruction runs, and what the CPU has done is the answer.
 */
#include "app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_AHEAD = 1000 };

/* Of those that an instruction writes, the one that matters most; REG_NONE: none. */
static enum reg register_to_ask(const struct insn *insn)
{
	static const enum reg by_interest[] = {
		REG_RSP, REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15,
		REG_RAX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11,
	};
	if (insn->len)
		for (size_t i = 0; i < sizeof(by_interest) / sizeof(by_interest[0]); i++)
			if (insn->regs_written & 1u << by_interest[i])
				return by_interest[i];
	return REG_NONE;
}

/* Nothing is asked twice. */
static bool was_asked(const struct app *app, uint64_t rip)
{
	for (size_t i = 0; i < app->n_exam_seen; i++)
		if (app->exam_seen[i] == rip)
			return true;
	return false;
}

static void note_asked(struct app *app, uint64_t rip)
{
	if (app->n_exam_seen == EXAM_SEEN)
		app->n_exam_seen = 0;
	app->exam_seen[app->n_exam_seen++] = rip;
}

void exam_ask(struct app *app)
{
	struct model *m = app->model;
	uint64_t from = m->t;

	app->input[0] = 0;
	app->exam_reg = REG_NONE;
	for (int i = 0; i < LOOK_AHEAD && m->t < m->last; i++) {
		uint64_t rip = m->state.regs.r[REG_RIP];
		app->exam_reg = was_asked(app, rip) ? REG_NONE : register_to_ask(&m->next);
		if (app->exam_reg != REG_NONE) {
			note_asked(app, rip);
			app->mode = MODE_EXAM;
			return;
		}
		if (!app_go(app, m->t + 1))
			break;
	}
	app->mode = MODE_KEYS;
	if (app_go(app, from))
		app_fail(app, "nothing to ask from here on; exam: %u of %u right", app->exam_right, app->exam_asked);
}

/* By what is shown for it, by number, by a register that has it now, or "same". */
static bool is_right(struct app *app, const char *said, uint64_t old, uint64_t value, const struct regs *before)
{
	char shown[64], *end;
	struct ui ui = app->ui;

	for (int raw = 0; raw < 2; raw++) {
		ui.is_raw = raw;
		if (strcmp(address_text(app->model, &ui, value, shown, sizeof(shown)), said) == 0)
			return true;
	}
	if (strcmp(said, "same") == 0 || strcmp(said, "=") == 0)
		return value == old;
	for (int r = 0; r < N_REGS; r++)
		if (strcmp(said + (*said == '%'), reg_names[r]) == 0)
			return value == before->r[r];
	uint64_t number = strtoull(said, &end, 0);
	if (end != said && !*end && number == value)
		return true;
	number = strtoull(said, &end, 16);
	return end != said && !*end && number == value;
}

void exam_answer(struct app *app)
{
	struct model *m = app->model;
	struct regs before = m->state.regs;
	char said[sizeof(app->input)], shown[64];
	enum reg r = app->exam_reg;

	snprintf(said, sizeof(said), "%s", app->input + strspn(app->input, " "));
	if (!app_go(app, m->t + 1)) {
		app->mode = MODE_KEYS;
		return;
	}
	uint64_t value = m->state.regs.r[r];
	address_text(m, &app->ui, value, shown, sizeof(shown));
	bool is_good = *said && is_right(app, said, before.r[r], value, &before);
	app->exam_right += is_good;
	app->exam_asked += *said != 0;
	exam_ask(app);
	if (app->mode != MODE_EXAM)
		return;
	if (is_good)
		app_tell(app, "right: %s became %s (%u of %u)", reg_names[r], shown, app->exam_right, app->exam_asked);
	else
		app_fail(app, "%s%s%s became %s (%u of %u)", *said ? "no: " : "", *said ? "" : "answer: ", reg_names[r], shown,
			 app->exam_right, app->exam_asked);
}

char *exam_question(struct app *app, char *text, size_t len)
{
	char now[64], insn[256];

	insn_text(app->model, &app->ui, app->model->state.regs.r[REG_RIP], &app->model->next, insn, sizeof(insn));
	address_text(app->model, &app->ui, app->model->state.regs.r[app->exam_reg], now, sizeof(now));
	snprintf(text, len, "%s comes next. %s is %s now: what will it be? (a place, a number, a register, \"same\"; "
			    "Enter shows it, Esc leaves)",
		 insn, reg_names[app->exam_reg], now);
	return text;
}
