// The embed page: the player alone, filling its frame. `?autoplay=1`, `?muted=1`.
import './styles/base.css';
import './styles/player.css';
import './styles/seek.css';
import './styles/overlays.css';
import './styles/notice.css';
import './styles/embed.css';
import { isOn, playbackIdOf } from './address.ts';
import { byId } from './dom.ts';
import { catchUpRate } from './hls-settings.ts';
import { Session } from './session.ts';
import { expose } from './window.ts';

const search = new URLSearchParams(location.search);

const session = new Session({
  playbackId: playbackIdOf(location.pathname) ?? '',
  stage: byId('stage'),
  isEmbed: true,
  isAutoplay: isOn(search, 'autoplay'),
  isMuted: isOn(search, 'muted'),
  token: search.get('token'),
  catchUpRate: catchUpRate(search.get('catchup')),
  onChange: (viewer) => {
    document.title = viewer.info?.title || 'Headwater';
  },
});
expose(() => session.state());
session.start();
