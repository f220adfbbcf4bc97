/** Grades, flags and block states in words, with what each means. A word and a shape carry them, never colour alone. */

export interface Wording {
  readonly word: string;
  readonly meaning: string;
}

export interface GradeWording extends Wording {
  /** Of four. */
  readonly dots: number;
}

const NO_GRADE: GradeWording = {
  word: 'no evidence',
  dots: 0,
  meaning: 'No session of this host was judged.',
};

const GRADES: Readonly<Record<string, GradeWording>> = {
  attempted: {
    word: 'tried',
    dots: 1,
    meaning: 'It asked for mail connections. None was answered, so nothing was sent.',
  },
  connected: {
    word: 'connected',
    dots: 2,
    meaning:
      'It reached mail servers. What it sent does not prove a message: a check or a probe looks the same.',
  },
  conversed: {
    word: 'mail',
    dots: 3,
    meaning: 'It sent more than a greeting can carry. Only a message explains that.',
  },
  bulk: {
    word: 'bulk mail',
    dots: 4,
    meaning: 'It sent messages in many sessions or to many servers within ten minutes.',
  },
};

export const gradeWording = (grade: string | null | undefined): GradeWording =>
  GRADES[grade ?? ''] ?? NO_GRADE;

/** From weak to strong, for the ladder. */
export const LADDER: readonly GradeWording[] = Object.values(GRADES);

const FLAGS: Readonly<Record<string, Wording>> = {
  half_seen: {
    word: 'one direction only',
    meaning: 'Only the servers’ answers were exported, which proves less.',
  },
  denied: { word: 'denied by a router', meaning: 'A router says that it drops these connections.' },
  sampled: { word: 'sampled', meaning: 'The router exports one packet in many, so short mails are missed.' },
  backscatter: { word: 'backscatter', meaning: 'It gets answers to packets that it never sent.' },
  flags_unknown: { word: 'no TCP flags', meaning: 'The router does not export TCP flags.' },
  not_effective: {
    word: 'block not effective',
    meaning: 'Packets still pass although the host is in the lists.',
  },
  scanning: { word: 'scanning', meaning: 'It connects to many servers and sends them no message.' },
  expected: { word: 'expected', meaning: 'The configuration declares what it does.' },
  submission_fan: {
    word: 'many submission servers',
    meaning: 'It uses more servers or sessions on submission ports than mail programs do.',
  },
};

export const flagWording = (flag: string): Wording => FLAGS[flag] ?? { word: flag, meaning: flag };

export type BlockShape = 'blocked' | 'passes' | 'waits' | 'watching' | 'released' | 'over';

export interface BlockWording extends Wording {
  readonly shape: BlockShape;
}

const BLOCKS: Readonly<Record<string, BlockWording>> = {
  none: { word: 'watching', shape: 'watching', meaning: 'Not blocked.' },
  observed: {
    word: 'watching',
    shape: 'watching',
    meaning: 'It would be blocked, but block.mode is observe.',
  },
  held: {
    word: 'waits for you',
    shape: 'waits',
    meaning: 'There is a reason to ask a person before blocking.',
  },
  proposed: { word: 'waits for you', shape: 'waits', meaning: 'It is blocked once you approve.' },
  published: { word: 'blocked', shape: 'blocked', meaning: 'It is in the lists for the routers.' },
  expired: { word: 'block over', shape: 'over', meaning: 'The block has ended.' },
  refused: { word: 'not blocked', shape: 'released', meaning: 'It is kept out of the lists.' },
};

/** `passes`: its packets still get through although it is in the lists. */
export function blockWording(state: string, passes = false): BlockWording {
  if (passes)
    return {
      word: 'still passes',
      shape: 'passes',
      meaning: 'It is in the lists, but a router still lets it through.',
    };
  return BLOCKS[state] ?? { word: state, shape: 'watching', meaning: state };
}
