// The embed page: the player alone, filling its frame. `?autoplay=1`, `?muted=1`.
import './styles/base.css';
import './styles/player.css';
import './styles/embed.css';
import { isOn, playbackIdOf } from './address.ts';
import { byId } from './dom.ts';
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
  onChange: (viewer) => {
    document.title = viewer.info?.title || 'Headwater';
  },
});
expose(() => session.state());
session.start();
