/* SPDX-License-Identifier: MIT */
/*
 * The tables of looks: one line per role.
 *
 * Colours 16-255 are the same on every terminal; the first eight are what the user's theme
 * makes of them. The executions' colours follow the set that Okabe and Ito proposed for
 * people who see red and green alike, made darker where the ground is white.
 */
#include "palette.h"

struct role_look {
	int16_t c256, c8, contrast; /* -1: the terminal's own */
	int style;                  /* always */
	int mono;                   /* and where there are no colours, or eight */
	uint32_t light, dark;       /* rgb on white, on dark */
};

enum { EXEC_STYLE = 0 };

static const struct role_look looks[N_ROLES] = {
	[ROLE_TEXT] = { -1, -1, -1, 0, 0, 0x1f2328, 0xd8dee6 },
	[ROLE_DIM] = { 244, -1, -1, 0, STYLE_FAINT, 0x6a737d, 0x8b949e },
	[ROLE_BORDER] = { 240, -1, 250, 0, STYLE_FAINT, 0xb0b8c0, 0x4a525c },
	[ROLE_TITLE] = { -1, -1, -1, 0, 0, 0x1f2328, 0xd8dee6 },
	[ROLE_FOCUS] = { 33, 6, 231, STYLE_BOLD, STYLE_BOLD, 0x0969da, 0x58a6ff },
	[ROLE_KEY] = { -1, -1, -1, STYLE_BOLD, STYLE_BOLD, 0x1f2328, 0xf0f4f8 },
	[ROLE_NEXT] = { -1, -1, -1, STYLE_BOLD, STYLE_BOLD, 0x111418, 0xffffff },
	[ROLE_DONE] = { -1, -1, -1, 0, 0, 0x57606a, 0xa8b2bc },
	[ROLE_BAD] = { 196, 1, 196, STYLE_BOLD, STYLE_BOLD | STYLE_UNDERLINE, 0xcf222e, 0xff6b6b },
	[ROLE_SENTENCE] = { -1, -1, -1, STYLE_BOLD, STYLE_BOLD, 0x111418, 0xffffff },
	[ROLE_EXEC0 + 0] = { 38, 6, 45, EXEC_STYLE, 0, 0x0b74ad, 0x56b4e9 },  /* sky blue */
	[ROLE_EXEC0 + 1] = { 172, 3, 220, EXEC_STYLE, 0, 0x9a6200, 0xe6a117 }, /* orange */
	[ROLE_EXEC0 + 2] = { 36, 2, 48, EXEC_STYLE, 0, 0x00704f, 0x2ec49a },  /* bluish green */
	[ROLE_EXEC0 + 3] = { 175, 5, 219, EXEC_STYLE, 0, 0xa03a78, 0xe59ac4 }, /* reddish purple */
	[ROLE_EXEC0 + 4] = { 166, 1, 208, EXEC_STYLE, 0, 0xb84a00, 0xf08040 }, /* vermilion */
	[ROLE_EXEC0 + 5] = { 69, 4, 111, EXEC_STYLE, 0, 0x2f4fbf, 0x8aa2ff },  /* blue */
	[ROLE_EXEC0 + 6] = { 143, 3, 229, EXEC_STYLE, STYLE_UNDERLINE, 0x6b6200, 0xf0e442 }, /* yellow */
	[ROLE_EXEC0 + 7] = { 245, -1, 252, EXEC_STYLE, STYLE_UNDERLINE, 0x5a5a5a, 0xb8b8b8 }, /* grey */
};

static const struct role_look *look_of(int role)
{
	return &looks[role >= 0 && role < N_ROLES ? role : ROLE_TEXT];
}

struct look palette_look(enum palette palette, int role, int style)
{
	const struct role_look *l = look_of(role);
	int all = style | l->style | (palette == PALETTE_MONO || palette == PALETTE_8 ? l->mono : 0);

	if (palette == PALETTE_CONTRAST)
		all = (all & ~STYLE_FAINT) | (role >= ROLE_EXEC0 ? STYLE_BOLD : 0);
	return (struct look){
		.fg = (int16_t)(palette == PALETTE_256 ? l->c256 : palette == PALETTE_8 ? l->c8 :
				palette == PALETTE_CONTRAST ? l->contrast : -1),
		.bg = -1,
		.is_bold = all & STYLE_BOLD,
		.is_faint = (all & STYLE_FAINT) && !(all & STYLE_BOLD),
		.is_underlined = all & STYLE_UNDERLINE,
		.is_reversed = all & STYLE_CHANGED,
	};
}

/* Halfway to the ground. */
static uint32_t faint(uint32_t rgb, uint32_t ground)
{
	return ((rgb >> 1) & 0x7f7f7f) + ((ground >> 1) & 0x7f7f7f);
}

uint32_t palette_ground(bool is_dark)
{
	return is_dark ? 0x0d1117 : 0xffffff;
}

uint32_t palette_rgb(bool is_dark, int role, int style)
{
	const struct role_look *l = look_of(role);
	uint32_t rgb = is_dark ? l->dark : l->light;

	return (style & STYLE_FAINT) && !(style & STYLE_BOLD) ? faint(rgb, palette_ground(is_dark)) : rgb;
}
