//! What the themes hold to: contrast, and colours that can be told apart.
use super::*;

/// Colours of a terminal as it shows them.
struct Terminal {
    name: &'static str,
    background: u32,
    text: u32,
    /// 0 to 7, and their bright twins.
    colors: [u32; 16],
}

const XTERM: [u32; 16] = [
    0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5, 0x7f_7f7f,
    0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
];

/// On a dark background.
const DARK: [Terminal; 3] = [
    Terminal { name: "xterm", background: 0x00_0000, text: 0xe5_e5e5, colors: XTERM },
    Terminal {
        name: "the kernel's console",
        background: 0x00_0000,
        text: 0xaa_aaaa,
        colors: [
            0x00_0000, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa,
            0x55_5555, 0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
        ],
    },
    Terminal {
        name: "VS Code, dark",
        background: 0x1e_1e1e,
        text: 0xcc_cccc,
        colors: [
            0x00_0000, 0xcd_3131, 0x0d_bc79, 0xe5_e510, 0x24_72c8, 0xbc_3fbc, 0x11_a8cd, 0xe5_e5e5,
            0x66_6666, 0xf1_4c4c, 0x23_d18b, 0xf5_f543, 0x3b_8eea, 0xd6_70d6, 0x29_b8db, 0xe5_e5e5,
        ],
    },
];

/// On a light background.
const LIGHT: [Terminal; 3] = [
    Terminal { name: "xterm", background: 0xff_ffff, text: 0x00_0000, colors: XTERM },
    Terminal {
        name: "VS Code, light",
        background: 0xff_ffff,
        text: 0x33_3333,
        colors: [
            0x00_0000, 0xcd_3131, 0x00_bc00, 0x94_9800, 0x04_51a5, 0xbc_05bc, 0x05_98bc, 0x55_5555,
            0x66_6666, 0xcd_3131, 0x14_ce14, 0xb5_ba00, 0x04_51a5, 0xbc_05bc, 0x05_98bc, 0xa5_a5a5,
        ],
    },
    Terminal {
        name: "Tango",
        background: 0xff_ffff,
        text: 0x2e_3436,
        colors: [
            0x2e_3436, 0xcc_0000, 0x4e_9a06, 0xc4_a000, 0x34_65a4, 0x75_507b, 0x06_989a, 0xd3_d7cf,
            0x55_5753, 0xef_2929, 0x8a_e234, 0xfc_e94f, 0x72_9fcf, 0xad_7fa8, 0x34_e2e2, 0xee_eeec,
        ],
    },
];

fn number(color: Color) -> Option<usize> {
    Some(match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        _ => return None,
    })
}

/// Relative luminance of WCAG 2.
fn luminance(color: u32) -> f64 {
    let part = |shift: u32| {
        let value = f64::from(color >> shift & 0xff) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
}

fn ratio(one: u32, other: u32) -> f64 {
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    (one / other).max(other / one)
}

/// What a role needs: 4.5 for text and 3 for pictures (WCAG 2, 1.4.3 and 1.4.11), nothing where there is nothing to read.
fn needed(role: Role) -> f64 {
    match role {
        Role::Free => 0.0,
        Role::Used | Role::Pinned | Role::Reserved | Role::MayUse => 3.0,
        _ => 4.5,
    }
}

/// Roles that are too weak on these terminals.
fn weak(theme: Theme, terminals: &[Terminal]) -> Vec<String> {
    let palette = Palette { theme, unicode: true };
    let mut weak = Vec::new();
    for terminal in terminals {
        for role in Role::ALL {
            let style = palette.style(role);
            assert_eq!(style.bg, None, "{role:?}: the terminal's own background is not ours to know");
            let color = style.fg.and_then(number);
            let mut shown = vec![color.map_or(terminal.text, |number| terminal.colors[number])];
            // Many show bold as the bright twin.
            if let (Some(number @ 0..8), true) = (color, style.add_modifier.contains(Modifier::BOLD)) {
                shown.push(terminal.colors[number + 8]);
            }
            for shown in shown {
                let ratio = ratio(shown, terminal.background);
                if ratio < needed(role) {
                    weak.push(format!("{role:?} on {}: {ratio:.2}", terminal.name));
                }
            }
        }
    }
    weak
}

#[test]
fn each_theme_can_be_read_on_the_background_it_is_for() {
    assert_eq!(weak(Theme::Standard, &DARK), Vec::<String>::new());
    assert_eq!(weak(Theme::ColorBlind, &DARK), Vec::<String>::new());
    assert_eq!(weak(Theme::Light, &LIGHT), Vec::<String>::new());
    for terminals in [&DARK, &LIGHT] {
        assert_eq!(weak(Theme::Plain, terminals), Vec::<String>::new());
    }
}

#[test]
fn the_wrong_theme_is_told_by_the_same_measure() {
    assert!(!weak(Theme::Standard, &LIGHT).is_empty());
    assert!(!weak(Theme::Light, &DARK).is_empty());
    assert!((ratio(0x00_0000, 0xff_ffff) - 21.0).abs() < 0.01);
}

#[test]
fn without_colours_states_still_differ() {
    let palette = Palette { theme: Theme::Plain, unicode: false };
    for role in [Role::Text, Role::Bad, Role::Selected, Role::Head, Role::Pinned] {
        assert_eq!((palette.style(role).fg, palette.style(role).bg), (None, None), "{role:?}");
    }
    assert_ne!(palette.style(Role::Bad), palette.style(Role::Text));
    assert_ne!(palette.style(Role::Selected), palette.style(Role::Text));
}

#[test]
fn no_theme_for_the_colour_blind_uses_red_or_green() {
    let palette = Palette { theme: Theme::ColorBlind, unicode: true };
    for role in Role::ALL {
        let color = palette.style(role).fg;
        assert!(
            !matches!(
                color,
                Some(
                    Color::Red
                        | Color::Green
                        | Color::LightRed
                        | Color::LightGreen
                        | Color::Indexed(_)
                        | Color::Rgb(..)
                )
            ),
            "{role:?}"
        );
    }
    assert_ne!(palette.style(Role::Bad).fg, palette.style(Role::Good).fg);
}

#[test]
fn the_key_goes_round_all_themes() {
    let first = Palette { theme: Theme::Standard, unicode: true };
    assert_ne!(first.next(), first);
    assert_eq!(first.next().next().next().next(), first);
}
